//! Results as messages.
//!
//! ```json
//! {"schema":"edge-ocr.job/1","job":"17","worker":"a1b2c3","status":"ok","result":{"schema":"edge-ocr/1",…}}
//! {"schema":"edge-ocr.job/1","job":"18","worker":"a1b2c3","status":"ok","result":[{"page":1,…},{"page":2,…}]}
//! {"schema":"edge-ocr.job/1","job":"17","worker":"a1b2c3","status":"error","code":"bad_picture","error":"…"}
//! ```

use super::job::Job;
use crate::publish::{Content, Message, Qos};
use serde::Serialize;

/// Name and version of the envelope; the number rises when a field changes its meaning.
const SCHEMA: &str = "edge-ocr.job/1";

/// Why a job has no result. The codes are stable: `too_large`, `bad_id`, `bad_picture`, `engine`, `busy`,
/// `result_too_large`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub code: &'static str,
    pub sentence: String,
}

impl Failure {
    pub fn new(code: &'static str, sentence: impl Into<String>) -> Failure {
        Failure { code, sentence: sentence.into() }
    }
}

/// Who answers, and where it says that it is there.
pub(super) struct Names {
    worker: String,
    status_topic: String,
}

impl Names {
    pub fn new(base: &str, worker: &str) -> Names {
        Names { worker: worker.into(), status_topic: format!("{base}/workers/{worker}/status") }
    }

    /// `online` or `offline`, kept by the broker.
    pub fn status(&self, online: bool) -> Message {
        let payload = if online { "online" } else { "offline" };
        Message { retain: true, ..Message::new(&self.status_topic, payload, Content::Text) }
    }

    /// The message for a job. `result` is a JSON object, or an array of objects for a file with several pages.
    pub fn answer(&self, job: &Job, result: Result<&[u8], &Failure>, expiry_s: u32) -> Message {
        let mut message = Message::new(&job.topic, self.envelope(&job.id, result), Content::Json);
        message.expiry_s = Some(expiry_s);
        message.correlation = job.delivery.correlation.clone();
        message
    }

    /// That there is no room for a job, at most once: what is in a hurry may not wait.
    pub fn busy(&self, job: &Job, waiting: usize) -> Message {
        let failure = Failure::new(
            "busy",
            format!("{waiting} jobs wait here already; send this one again later, and have fewer under way at a time"),
        );
        Message { qos: Qos::AtMostOnce, ..self.answer(job, Err(&failure), 60) }
    }

    fn envelope(&self, job: &str, result: Result<&[u8], &Failure>) -> Vec<u8> {
        #[derive(Serialize)]
        struct Envelope<'a> {
            schema: &'a str,
            job: &'a str,
            worker: &'a str,
            status: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            code: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            error: Option<&'a str>,
        }
        let failure = result.err();
        let envelope = Envelope {
            schema: SCHEMA,
            job,
            worker: &self.worker,
            status: if failure.is_some() { "error" } else { "ok" },
            code: failure.map(|f| f.code),
            error: failure.map(|f| f.sentence.as_str()),
        };
        // Strings alone: serialising them cannot fail.
        let mut bytes = serde_json::to_vec(&envelope).unwrap_or_else(|_| b"{}".to_vec());
        if let Ok(result) = result {
            // It is put in as it is instead of being read and written again.
            bytes.pop();
            bytes.extend(b",\"result\":");
            bytes.extend(result);
            bytes.push(b'}');
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_are_json_whatever_the_names() {
        let names = Names::new("ocr", "w");
        let id = "a\"b\\ \u{1f}ü";
        let ok: serde_json::Value = serde_json::from_slice(&names.envelope(id, Ok(b"{\"lines\":[]}"))).unwrap();
        assert_eq!(
            (&ok["job"], &ok["status"], &ok["result"]["lines"]),
            (&id.into(), &"ok".into(), &serde_json::json!([]))
        );
        let failure = Failure::new("bad_picture", "it's \"no\" image");
        let bad: serde_json::Value = serde_json::from_slice(&names.envelope(id, Err(&failure))).unwrap();
        assert_eq!((&bad["code"], &bad["error"]), (&"bad_picture".into(), &"it's \"no\" image".into()));
        assert_eq!(bad.get("result"), None);
    }
}
