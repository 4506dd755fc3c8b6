//! MQTT 5.

use super::connection::{Client, ConnectionEvent, EventSender, PACKET_IDS, REQUESTS, ServerLimits, Task, WINDOW};
use super::error_messages::{self, ConnectRefusal};
use super::{Settings, topic};
use crate::publish::transport::{Content, Delivery, Message, Qos};
use rumqttc::v5::mqttbytes::v5::{
    ConnAck, ConnectProperties, ConnectReturnCode, DisconnectReasonCode, Filter, LastWill, LastWillProperties,
    PubAckReason, Publish, PublishProperties, SubscribeReasonCode,
};
use rumqttc::v5::mqttbytes::{self, QoS};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, Incoming, MqttOptions, StateError};
use rumqttc::{NetworkOptions, Outgoing};
use std::sync::Arc;
use std::time::Duration;

/// rumqttc refuses a shorter keep-alive.
const SHORTEST_KEEP_ALIVE: Duration = Duration::from_secs(5);

/// Length of the message as a packet, header included.
pub(super) fn packet_bytes(message: &Message) -> usize {
    let mut properties = message.expiry_s.map_or(0, |_| 5);
    properties += message.correlation.as_ref().map_or(0, |data| 3 + data.len());
    properties += content_type(message.content).map_or(0, |name| 3 + name.len());
    properties += if is_text(message.content) { 2 } else { 0 };
    let properties = properties + super::connection::length_bytes(properties);
    super::connection::framed_bytes(2 + message.topic.len() + 2 + properties + message.payload.len())
}

fn content_type(content: Content) -> Option<&'static str> {
    match content {
        Content::Json => Some("application/json"),
        Content::Text => Some("text/plain"),
        Content::Jpeg => Some("image/jpeg"),
        Content::Postcard => Some("application/vnd.edge-ocr.record+postcard"),
        Content::Bytes => None,
    }
}

fn is_text(content: Content) -> bool {
    matches!(content, Content::Json | Content::Text)
}

fn properties(message: &Message) -> PublishProperties {
    PublishProperties {
        payload_format_indicator: is_text(message.content).then_some(1),
        message_expiry_interval: message.expiry_s,
        correlation_data: message.correlation.clone().map(Into::into),
        content_type: content_type(message.content).map(Into::into),
        ..PublishProperties::default()
    }
}

/// A client, and the task that makes the connection and keeps it until it ends; its result says why it ended.
pub(super) fn open(settings: &Arc<Settings>, sender: EventSender) -> (Box<dyn Client>, Task) {
    let (client, mut events) = AsyncClient::new(options(settings), REQUESTS);
    let settings = Arc::clone(settings);
    let task = async move {
        let mut first = true;
        loop {
            let event = match first {
                true => match tokio::time::timeout(settings.connect_timeout, events.poll()).await {
                    Ok(event) => event,
                    Err(_) => return error_messages::timeout(&settings.broker),
                },
                false => events.poll().await,
            };
            let event = match event {
                Ok(Event::Incoming(Incoming::ConnAck(ack))) => match limits(&ack, &settings) {
                    Ok((limits, keep_alive)) => {
                        events.options.set_keep_alive(keep_alive);
                        Ok(ConnectionEvent::Connected(limits))
                    }
                    Err(why) => Err(why),
                },
                Ok(event) => translate(event, &settings),
                Err(error) => {
                    while let Some(event) = events.state.events.pop_front() {
                        // What was answered in the same moment.
                        if matches!(event, Event::Incoming(Incoming::PubAck(_)))
                            && let Ok(event) = translate(event, &settings)
                        {
                            sender.send(event).await;
                        }
                    }
                    // It would be for ever: another connection does not make it smaller.
                    if refusal(&error, !first) == Some(TOO_LARGE) {
                        let why = error_messages::too_large_for_it(&settings.broker);
                        sender.send(ConnectionEvent::TooLarge(why)).await;
                    }
                    Err(sentence(&settings, &error, !first))
                }
            };
            first = false;
            let event = match event {
                Ok(event) => event,
                Err(why) => return why,
            };
            if !sender.send(event).await {
                return String::new();
            }
        }
    };
    (Box::new(V5(client)), Box::pin(task))
}

fn options(settings: &Settings) -> MqttOptions {
    let mut options = MqttOptions::new(&settings.client_id, &settings.host, settings.port);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    let connect = ConnectProperties {
        receive_maximum: settings.options.receive_maximum,
        max_packet_size: Some(settings.max_in_bytes),
        ..ConnectProperties::new()
    };
    options
        .set_transport(settings.transport.clone())
        .set_keep_alive(settings.keep_alive.max(SHORTEST_KEEP_ALIVE))
        .set_clean_start(true)
        .set_manual_acks(settings.options.manual_acks)
        .set_outgoing_inflight_upper_limit(PACKET_IDS)
        .set_connection_timeout(settings.connect_timeout.as_secs() + 1)
        .set_connect_properties(connect)
        .set_network_options(network);
    if let Some((name, password)) = &settings.login {
        options.set_credentials(name, password.reveal());
    }
    if let Some(will) = &settings.will {
        let properties = LastWillProperties {
            delay_interval: None,
            payload_format_indicator: is_text(will.content).then_some(1),
            message_expiry_interval: will.expiry_s,
            content_type: content_type(will.content).map(Into::into),
            response_topic: None,
            correlation_data: None,
            user_properties: Vec::new(),
        };
        let retain = will.retain && settings.retain_probe.asks();
        let will = LastWill::new(&will.topic, will.payload.clone(), qos(will.qos), retain, Some(properties));
        options.set_last_will(will);
    }
    options
}

fn qos(qos: Qos) -> QoS {
    match qos {
        Qos::AtMostOnce => QoS::AtMostOnce,
        Qos::AtLeastOnce => QoS::AtLeastOnce,
    }
}

/// What the broker allows, and the keep-alive from now on; an error if it allows too little.
fn limits(ack: &ConnAck, settings: &Settings) -> Result<(ServerLimits, Duration), String> {
    let retain = settings.retain_probe.asks();
    let (max_out_bytes, silence) = (settings.max_out_bytes, settings.silence);
    let mut limits = ServerLimits { max_out_bytes, silence, retain, window: WINDOW, packet_ids: PACKET_IDS };
    let mut keep_alive = settings.keep_alive;
    if let Some(properties) = &ack.properties {
        if properties.max_qos == Some(0) {
            return Err(format!(
                "the broker at {} acknowledges no messages (its maximum QoS is 0); use one that knows QoS 1",
                settings.broker
            ));
        }
        match properties.receive_max {
            Some(0) => return Err(error_messages::nonsense(&settings.broker, "a receive maximum of 0")),
            Some(limit) => limits.limit_window(limit),
            None => {}
        }
        if let Some(limit) = properties.max_packet_size {
            limits.max_out_bytes = limits.max_out_bytes.min(limit);
        }
        // A broker may ask for a keep-alive of its own. rumqttc has set its clock to it already, so a longer one means
        // patience; 0 means none, which rumqttc takes for "all the time".
        if let Some(seconds @ 1..) = properties.server_keep_alive {
            let requested = Duration::from_secs(seconds.into());
            keep_alive = keep_alive.min(requested);
            limits.silence = limits.silence.max(requested * 2);
        }
        limits.retain &= properties.retain_available != Some(0);
    }
    Ok((limits, keep_alive.max(SHORTEST_KEEP_ALIVE)))
}

fn translate(event: Event, settings: &Settings) -> Result<ConnectionEvent, String> {
    Ok(match event {
        Event::Incoming(Incoming::PubAck(ack)) => {
            let reason = ack.properties.and_then(|p| p.reason_string).map(|text| format!(": {}", short(&text)));
            let reason = |text: &str| format!("{text}{}", reason.as_deref().unwrap_or_default());
            // As above, and what to do about it.
            let denied = |text: &str, remedy: &str| {
                ConnectionEvent::TemporarilyRejected(ack.pkid, format!("{}; {remedy}", reason(text)))
            };
            match ack.reason {
                PubAckReason::Success | PubAckReason::NoMatchingSubscribers => ConnectionEvent::Acked(ack.pkid),
                // These causes are removed at the broker, without a new connection.
                PubAckReason::NotAuthorized => {
                    denied("this client may not publish to the topic", "allow it in the broker's access list")
                }
                // A worker has one message to send, and begins again with a new connection.
                PubAckReason::QuotaExceeded if settings.options.manual_acks => {
                    return Err(not_taken(settings, "a quota is exceeded"));
                }
                PubAckReason::QuotaExceeded => {
                    denied("a quota is exceeded", "raise it at the broker, or wait until it is renewed")
                }
                // These stay true however often the message is sent.
                PubAckReason::TopicNameInvalid => {
                    ConnectionEvent::PermanentlyRejected(ack.pkid, reason("the broker does not take the topic"))
                }
                PubAckReason::PayloadFormatInvalid => {
                    ConnectionEvent::PermanentlyRejected(ack.pkid, reason("the broker does not take the payload"))
                }
                // These may pass.
                PubAckReason::PacketIdentifierInUse => return Err(not_taken(settings, "the packet id is in use")),
                PubAckReason::UnspecifiedError | PubAckReason::ImplementationSpecificError => {
                    return Err(not_taken(settings, &reason("of an error of its own")));
                }
            }
        }
        Event::Incoming(Incoming::SubAck(ack)) => ConnectionEvent::Subscribed(
            ack.return_codes.iter().map(|code| matches!(code, SubscribeReasonCode::Success(_))).collect(),
        ),
        Event::Incoming(Incoming::Publish(publish)) => {
            let properties = publish.properties.unwrap_or_default();
            // None was allowed, and rumqttc would remember every one of them.
            if properties.topic_alias.is_some() {
                return Err(error_messages::nonsense(&settings.broker, "a topic alias, which was not allowed"));
            }
            let topic = String::from_utf8(publish.topic.into())
                .map_err(|_| error_messages::nonsense(&settings.broker, "a topic that is not UTF-8"))?;
            ConnectionEvent::Received(Delivery {
                topic,
                payload: publish.payload.into(),
                retain: publish.retain,
                duplicate: publish.dup,
                response_topic: properties.response_topic,
                correlation: properties.correlation_data.map(Into::into),
                token: publish.pkid.into(),
            })
        }
        Event::Incoming(_) => ConnectionEvent::Alive,
        Event::Outgoing(Outgoing::Publish(pkid)) => ConnectionEvent::Sent(pkid),
        Event::Outgoing(Outgoing::Disconnect) => ConnectionEvent::Disconnected,
        Event::Outgoing(_) => ConnectionEvent::Nothing,
    })
}

fn not_taken(settings: &Settings, why: &str) -> String {
    format!("the broker at {} did not take a message because {why}; look into its log if that repeats", settings.broker)
}

/// Foreign text for our log: at most 100 characters, on one line.
fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}

/// Why the connection ended or was not made.
fn sentence(settings: &Settings, error: &ConnectionError, accepted: bool) -> String {
    let broker = settings.broker.as_str();
    let closed = || error_messages::closed(broker, accepted, "5", "3.1.1");
    let io = |e: &std::io::Error| error_messages::io(broker, e).unwrap_or_else(closed);
    match error {
        ConnectionError::Io(e) => io(e),
        ConnectionError::Timeout(_) => error_messages::timeout(broker),
        #[cfg(feature = "tls")]
        ConnectionError::Tls(rumqttc::TlsError::Io(e)) => io(e),
        ConnectionError::ConnectionRefused(ConnectReturnCode::RetainNotSupported) => not_kept(settings),
        ConnectionError::ConnectionRefused(code) => {
            let refusal = match code {
                ConnectReturnCode::UnsupportedProtocolVersion | ConnectReturnCode::RefusedProtocolVersion => {
                    ConnectRefusal::Protocol
                }
                ConnectReturnCode::ClientIdentifierNotValid | ConnectReturnCode::BadClientId => {
                    ConnectRefusal::ClientId
                }
                ConnectReturnCode::ServerUnavailable
                | ConnectReturnCode::ServerBusy
                | ConnectReturnCode::ServiceUnavailable => ConnectRefusal::Unavailable,
                ConnectReturnCode::BadUserNamePassword => ConnectRefusal::Login,
                ConnectReturnCode::NotAuthorized => ConnectRefusal::NotAuthorised,
                other => ConnectRefusal::Other(format!("{other:?}")),
            };
            error_messages::refused(broker, refusal, "5", "3.1.1")
        }
        ConnectionError::MqttState(StateError::Io(e) | StateError::Deserialization(mqttbytes::Error::Io(e))) => io(e),
        ConnectionError::MqttState(StateError::AwaitPingResp | StateError::CollisionTimeout) => {
            error_messages::no_answer(broker)
        }
        ConnectionError::MqttState(StateError::ConnectionAborted) => closed(),
        ConnectionError::MqttState(StateError::Deserialization(mqttbytes::Error::PayloadSizeLimitExceeded {
            ..
        })) => error_messages::too_large(broker, settings.max_in_bytes),
        ConnectionError::MqttState(StateError::ServerDisconnect {
            reason_code: DisconnectReasonCode::RetainNotSupported,
            ..
        }) => not_kept(settings),
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, reason_string }) => {
            ended(broker, *reason_code, reason_string.as_deref())
        }
        e if refusal(e, accepted) == Some(TOO_LARGE) => error_messages::too_large_for_it(broker),
        e if refusal(e, accepted) == Some(NO_RETAIN) => not_kept(settings),
        ConnectionError::MqttState(e) => error_messages::nonsense(broker, e),
        e => error_messages::nonsense(broker, e),
    }
}

/// Reasons (MQTT 5, section 2.4) that the standard does not have for acknowledgements, and brokers give there.
const TOO_LARGE: u8 = 0x95;
const NO_RETAIN: u8 = 0x9a;

/// The reason of an acknowledgement that rumqttc does not know. It has no error of its own for that.
fn refusal(error: &ConnectionError, accepted: bool) -> Option<u8> {
    match error {
        ConnectionError::MqttState(StateError::Deserialization(mqttbytes::Error::InvalidConnectReturnCode(code))) => {
            accepted.then_some(*code)
        }
        _ => None,
    }
}

/// The broker keeps no messages and takes none that is to be kept, last will included. The next connection is made
/// without.
fn not_kept(settings: &Settings) -> String {
    settings.retain_probe.never();
    error_messages::retain_refused(&settings.broker)
}

/// The broker said goodbye.
fn ended(broker: &str, code: DisconnectReasonCode, text: Option<&str>) -> String {
    if code == DisconnectReasonCode::SessionTakenOver {
        return format!(
            "the broker at {broker} ended the connection because another client came with the same client id; give each its own \
             mqtt.client_id"
        );
    }
    if code == DisconnectReasonCode::PacketTooLarge {
        return error_messages::too_large_for_it(broker);
    }
    let text = text.map(|text| format!(", '{}'", short(text))).unwrap_or_default();
    format!("the broker at {broker} ended the connection ({code:?}{text}); look into its log if that repeats")
}

struct V5(AsyncClient);

impl Client for V5 {
    fn publish(&self, message: &Message, retain: bool) -> bool {
        let properties = properties(message);
        self.0
            .try_publish_with_properties(&message.topic, qos(message.qos), retain, message.payload.clone(), properties)
            .is_ok()
    }

    fn subscribe(&self, filters: &[(String, Qos)]) -> bool {
        let filters: Vec<_> = filters
            .iter()
            .filter(|(f, _)| topic::filter_fault(f).is_none())
            .map(|(f, q)| Filter::new(f, qos(*q)))
            .collect();
        self.0.try_subscribe_many(filters).is_ok()
    }

    fn ack(&self, pkid: u16) -> bool {
        let mut publish = Publish::new("", QoS::AtLeastOnce, Vec::new(), None);
        publish.pkid = pkid;
        self.0.try_ack(&publish).is_ok()
    }

    fn disconnect(&self) -> bool {
        self.0.try_disconnect().is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_is_that_of_the_packet() {
        for (length, content) in
            [(0, Content::Bytes), (100, Content::Json), (16_300, Content::Jpeg), (70_000, Content::Postcard)]
        {
            for correlation in [None, Some(vec![1; 3]), Some(vec![1; 200])] {
                let message =
                    Message { expiry_s: Some(9), correlation, ..Message::new("a/b", vec![0; length], content) };
                let mut publish =
                    Publish::new("a/b", QoS::AtLeastOnce, message.payload.clone(), Some(properties(&message)));
                publish.pkid = 7;
                assert_eq!(packet_bytes(&message), publish.size(), "{length} {content:?}");
            }
        }
    }
}
