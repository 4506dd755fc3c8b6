//! MQTT 3.1.1.

use super::connection::{Client, ConnectionEvent, EventSender, PACKET_IDS, REQUESTS, ServerLimits, Task, WINDOW};
use super::error_messages::{self, ConnectRefusal};
use super::retain_probe::Attempt;
use super::{Settings, topic};
use crate::publish::transport::{Delivery, Message, Qos};
use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, Event, Incoming, LastWill, MqttOptions, NetworkOptions, Outgoing,
    Publish, QoS, StateError, SubscribeFilter, SubscribeReasonCode,
};
use std::sync::Arc;

/// Length of the message as a packet, header included.
pub(super) fn packet_bytes(message: &Message) -> usize {
    super::connection::framed_bytes(2 + message.topic.len() + 2 + message.payload.len())
}

/// A client, and the task that makes the connection and keeps it until it ends; its result says why it ended.
pub(super) fn open(settings: &Arc<Settings>, sender: EventSender) -> (Box<dyn Client>, Task) {
    let attempt = match settings.will.as_ref().is_some_and(|will| will.retain) {
        true => settings.retain_probe.attempt(),
        false => Attempt::Ask,
    };
    let retain = attempt == Attempt::Ask;
    let (client, mut events) = AsyncClient::new(options(settings, retain), REQUESTS);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    // rumqttc takes this for the time that a write may take, too; making the connection has a limit of its own below.
    network.set_connection_timeout(settings.silence.max(settings.connect_timeout).as_secs() + 1);
    events.set_network_options(network);
    let settings = Arc::clone(settings);
    let task = async move {
        let mut first = true;
        loop {
            let event = match first {
                true => match tokio::time::timeout(settings.connect_timeout, events.poll()).await {
                    Ok(event) => event,
                    Err(_) => {
                        settings.retain_probe.failed();
                        return error_messages::timeout(&settings.broker);
                    }
                },
                false => events.poll().await,
            };
            let event = match event {
                Ok(event) => translate(event, &settings, retain),
                Err(error) => {
                    while let Some(event) = events.state.events.pop_front() {
                        // What was acknowledged in the same moment.
                        if let Event::Incoming(Incoming::PubAck(ack)) = event {
                            sender.send(ConnectionEvent::Acked(ack.pkid)).await;
                        }
                    }
                    if first && is_closed(&error) {
                        if settings.retain_probe.closed(attempt) {
                            return error_messages::retain_refused(&settings.broker);
                        }
                    } else if first {
                        settings.retain_probe.failed();
                    }
                    return sentence(&settings, &error, !first);
                }
            };
            if matches!(event, ConnectionEvent::Connected(_)) {
                settings.retain_probe.accepted(attempt);
                if attempt == Attempt::Trial {
                    return error_messages::retain_tried(&settings.broker);
                }
            }
            first = false;
            if !sender.send(event).await {
                return String::new();
            }
        }
    };
    (Box::new(V4(client)), Box::pin(task))
}

fn options(settings: &Settings, retain: bool) -> MqttOptions {
    let mut options = MqttOptions::new(&settings.client_id, &settings.host, settings.port);
    options
        .set_transport(settings.transport.clone())
        .set_keep_alive(settings.keep_alive)
        .set_clean_session(true)
        .set_inflight(PACKET_IDS)
        .set_manual_acks(settings.options.manual_acks)
        .set_max_packet_size(settings.max_in_bytes as usize, settings.max_out_bytes as usize);
    if let Some((name, password)) = &settings.login {
        options.set_credentials(name, password.reveal());
    }
    if let Some(will) = &settings.will {
        let retain = will.retain && retain;
        options.set_last_will(LastWill::new(&will.topic, will.payload.clone(), qos(will.qos), retain));
    }
    options
}

fn qos(qos: Qos) -> QoS {
    match qos {
        Qos::AtMostOnce => QoS::AtMostOnce,
        Qos::AtLeastOnce => QoS::AtLeastOnce,
    }
}

fn translate(event: Event, settings: &Settings, retain: bool) -> ConnectionEvent {
    match event {
        Event::Incoming(Incoming::ConnAck(_)) => {
            let (max_out_bytes, silence) = (settings.max_out_bytes, settings.silence);
            ConnectionEvent::Connected(ServerLimits {
                max_out_bytes,
                silence,
                retain,
                window: WINDOW,
                packet_ids: PACKET_IDS,
            })
        }
        Event::Incoming(Incoming::PubAck(ack)) => ConnectionEvent::Acked(ack.pkid),
        Event::Incoming(Incoming::SubAck(ack)) => ConnectionEvent::Subscribed(
            ack.return_codes.iter().map(|code| matches!(code, SubscribeReasonCode::Success(_))).collect(),
        ),
        Event::Incoming(Incoming::Publish(publish)) => ConnectionEvent::Received(Delivery {
            topic: publish.topic,
            payload: publish.payload.into(),
            retain: publish.retain,
            duplicate: publish.dup,
            response_topic: None,
            correlation: None,
            token: publish.pkid.into(),
        }),
        Event::Incoming(_) => ConnectionEvent::Alive,
        Event::Outgoing(Outgoing::Publish(pkid)) => ConnectionEvent::Sent(pkid),
        Event::Outgoing(Outgoing::Disconnect) => ConnectionEvent::Disconnected,
        Event::Outgoing(_) => ConnectionEvent::Nothing,
    }
}

/// Whether the broker closed the connection without a word.
fn is_closed(error: &ConnectionError) -> bool {
    let io = |e: &std::io::Error| error_messages::io("", e).is_none();
    match error {
        ConnectionError::Io(e) => io(e),
        #[cfg(feature = "tls")]
        ConnectionError::Tls(rumqttc::TlsError::Io(e)) => io(e),
        ConnectionError::MqttState(
            StateError::Io(e) | StateError::Deserialization(rumqttc::mqttbytes::Error::Io(e)),
        ) => io(e),
        ConnectionError::MqttState(StateError::ConnectionAborted) => true,
        _ => false,
    }
}

/// Why the connection ended or was not made.
fn sentence(settings: &Settings, error: &ConnectionError, accepted: bool) -> String {
    let broker = settings.broker.as_str();
    let closed = || error_messages::closed(broker, accepted, "3.1.1", "5");
    let io = |e: &std::io::Error| error_messages::io(broker, e).unwrap_or_else(closed);
    match error {
        ConnectionError::Io(e) => io(e),
        ConnectionError::NetworkTimeout => error_messages::timeout(broker),
        ConnectionError::FlushTimeout => error_messages::no_answer(broker),
        #[cfg(feature = "tls")]
        ConnectionError::Tls(rumqttc::TlsError::Io(e)) => io(e),
        ConnectionError::ConnectionRefused(code) => {
            let refusal = match code {
                ConnectReturnCode::RefusedProtocolVersion => ConnectRefusal::Protocol,
                ConnectReturnCode::BadClientId => ConnectRefusal::ClientId,
                ConnectReturnCode::ServiceUnavailable => ConnectRefusal::Unavailable,
                ConnectReturnCode::BadUserNamePassword => ConnectRefusal::Login,
                ConnectReturnCode::NotAuthorized => ConnectRefusal::NotAuthorised,
                ConnectReturnCode::Success => ConnectRefusal::Other("no reason".into()),
            };
            error_messages::refused(broker, refusal, "3.1.1", "5")
        }
        ConnectionError::MqttState(
            StateError::Io(e) | StateError::Deserialization(rumqttc::mqttbytes::Error::Io(e)),
        ) => io(e),
        ConnectionError::MqttState(StateError::AwaitPingResp | StateError::CollisionTimeout) => {
            error_messages::no_answer(broker)
        }
        ConnectionError::MqttState(StateError::ConnectionAborted) => closed(),
        ConnectionError::MqttState(StateError::Deserialization(
            rumqttc::mqttbytes::Error::PayloadSizeLimitExceeded(_),
        )) => error_messages::too_large(broker, settings.max_in_bytes),
        ConnectionError::MqttState(e) => error_messages::nonsense(broker, e),
        e => error_messages::nonsense(broker, e),
    }
}

struct V4(AsyncClient);

impl Client for V4 {
    fn publish(&self, message: &Message, retain: bool) -> bool {
        self.0.try_publish(&message.topic, qos(message.qos), retain, message.payload.as_slice()).is_ok()
    }

    fn subscribe(&self, filters: &[(String, Qos)]) -> bool {
        let filters: Vec<_> = filters
            .iter()
            .filter(|(f, _)| topic::filter_fault(f).is_none())
            .map(|(f, q)| SubscribeFilter::new(f.clone(), qos(*q)))
            .collect();
        self.0.try_subscribe_many(filters).is_ok()
    }

    fn ack(&self, pkid: u16) -> bool {
        let mut publish = Publish::new("", QoS::AtLeastOnce, Vec::new());
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
    use crate::publish::transport::Content;

    #[test]
    fn the_length_is_that_of_the_packet() {
        for length in [0, 1, 100, 120, 127, 128, 16_380, 16_384, 70_000] {
            let message = Message::new("a/b", vec![0; length], Content::Bytes);
            let mut publish = Publish::new("a/b", QoS::AtLeastOnce, vec![0; length]);
            publish.pkid = 7;
            assert_eq!(packet_bytes(&message), publish.size(), "{length}");
        }
    }
}
