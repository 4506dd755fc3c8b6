//! Topics and filters that MQTT allows (MQTT 5, section 4.7; 3.1.1 says the same).

/// Longest topic: its length is sent in two bytes.
const MAX_TOPIC_BYTES: usize = u16::MAX as usize;

/// Why nothing can be published to `topic`; `None` if it can.
pub(crate) fn fault(topic: &str) -> Option<&'static str> {
    if topic.contains(['+', '#']) {
        return Some("it has a wildcard (+ or #)");
    }
    common_fault(topic)
}

/// Why `filter` cannot be subscribed to; `None` if it can.
pub(crate) fn filter_fault(filter: &str) -> Option<&'static str> {
    let levels = match filter.strip_prefix("$share/") {
        Some(shared) => {
            let Some((group, rest)) = shared.split_once('/') else { return Some("the shared filter has no topic") };
            if group.is_empty() || rest.is_empty() || group.contains(['+', '#']) {
                return Some("the shared filter needs a group without wildcards and a topic");
            }
            rest
        }
        None => filter,
    };
    let last = levels.split('/').count() - 1;
    for (i, level) in levels.split('/').enumerate() {
        if level.contains(['+', '#']) && level.len() > 1 {
            return Some("a wildcard must be a level of its own");
        }
        if level == "#" && i != last {
            return Some("# must be the last level");
        }
    }
    common_fault(filter)
}

fn common_fault(topic: &str) -> Option<&'static str> {
    match topic {
        "" => Some("it is empty"),
        _ if topic.len() > MAX_TOPIC_BYTES => Some("it is longer than 65535 bytes"),
        // NUL is forbidden; brokers may close the connection for the others too, and close it is what they do.
        _ if topic.contains(char::is_control) => Some("it has control characters"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics() {
        for good in ["a", "ocr/n1/status", "/", "ä b/c", "$SYS/x"] {
            assert_eq!(fault(good), None, "{good}");
        }
        for bad in ["", "a/+", "#", "a\0b", "a\nb", &"x".repeat(65_536)] {
            assert!(fault(bad).is_some(), "{bad:?}");
        }
    }

    #[test]
    fn filters() {
        for good in ["a", "+", "#", "a/+/b", "a/#", "$share/g/a/+", "homeassistant/status"] {
            assert_eq!(filter_fault(good), None, "{good}");
        }
        for bad in ["", "a+", "a/#/b", "#/a", "$share/g", "$share//a", "$share/g/", "$share/+/a", "$share/g/a+", "a\0"]
        {
            assert!(filter_fault(bad).is_some(), "{bad}");
        }
    }
}
