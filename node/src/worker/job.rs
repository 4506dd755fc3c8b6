//! What came in, as a job.

use super::WorkerConfig;
use super::answer::Failure;
use crate::publish::Delivery;
use crate::publish::mqtt::topic_fault;

/// Longest job id in bytes: it is part of a topic and of the result.
const MAX_ID_BYTES: usize = 128;

/// An image to be read, or the reason why it will not be.
pub(super) struct Job {
    pub id: String,
    pub image: Result<Vec<u8>, Failure>,
    /// Checksum of the image as it came.
    checksum: u32,
    /// What is acknowledged when the result is out; without its payload.
    pub delivery: Delivery,
    /// Where the result goes.
    pub topic: String,
}

impl Job {
    /// Gives the message back, without its payload, if it is none: of another topic, or kept by the broker from before
    /// (a job would be done again at each start).
    pub fn of(mut delivery: Delivery, config: &WorkerConfig) -> Result<Job, Delivery> {
        let payload = std::mem::take(&mut delivery.payload);
        let id = delivery.topic.strip_prefix(&config.base).and_then(|rest| rest.strip_prefix("/jobs/"));
        let Some(id) = id.filter(|id| !delivery.retain && !id.contains('/') && !id.is_empty()).map(String::from) else {
            return Err(delivery);
        };
        let checksum = crc32fast::hash(&payload);
        let image = if id.len() > MAX_ID_BYTES {
            Err(Failure::new(
                "bad_id",
                format!("the job's id is longer than {MAX_ID_BYTES} bytes; choose a shorter one"),
            ))
        } else if payload.len() > config.max_job_bytes as usize {
            let (length, limit) = (payload.len(), config.max_job_bytes);
            Err(Failure::new(
                "too_large",
                format!(
                    "the image has {length} bytes, more than the limit of {limit}; send a smaller one, or raise max_job_bytes"
                ),
            ))
        } else {
            Ok(payload)
        };
        let requested =
            delivery.response_topic.as_deref().filter(|topic| config.response_topics && usable(topic, config));
        let topic = requested.map_or_else(|| format!("{}/results/{id}", config.base), Into::into);
        Ok(Job { id, image, checksum, delivery, topic })
    }

    /// Whether it is the other one once more: the same image by the same id, to be answered in the same way.
    pub fn repeats(&self, other: &Job) -> bool {
        self.id == other.id
            && self.checksum == other.checksum
            && self.topic == other.topic
            && self.delivery.correlation == other.delivery.correlation
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        self.image.as_ref().map_or(0, Vec::len)
    }
}

/// A result among the jobs would be taken for one, and its error for another, without end.
fn usable(topic: &str, config: &WorkerConfig) -> bool {
    let is_job = topic.strip_prefix(&config.base).is_some_and(|rest| rest.starts_with("/jobs/"));
    topic_fault(topic).is_none() && !is_job && !topic.starts_with('$') && topic.len() <= 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(topic: &str) -> Delivery {
        Delivery {
            topic: topic.into(),
            payload: vec![1; 10],
            retain: false,
            duplicate: false,
            response_topic: None,
            correlation: None,
            token: 1,
        }
    }

    #[test]
    fn only_jobs_are_jobs() {
        let config = WorkerConfig::default();
        assert_eq!(Job::of(delivery("ocr/jobs/7"), &config).unwrap().topic, "ocr/results/7");
        for topic in ["ocr/jobs/", "ocr/jobs", "ocr/results/7", "ocr/jobs/7/8", "xocr/jobs/7", "ocrjobs/7"] {
            assert!(Job::of(delivery(topic), &config).is_err(), "{topic}");
        }
        assert!(Job::of(Delivery { retain: true, ..delivery("ocr/jobs/7") }, &config).is_err());
    }

    #[test]
    fn response_topic_used_but_never_job_topic() {
        let config = WorkerConfig { response_topics: true, ..WorkerConfig::default() };
        let closed = WorkerConfig::default();
        for (requested, expected) in [
            ("me/answers", "me/answers"),
            ("ocr/jobs/8", "ocr/results/7"),
            ("a/+", "ocr/results/7"),
            ("", "ocr/results/7"),
            ("$SYS/x", "ocr/results/7"),
        ] {
            let delivery = Delivery { response_topic: Some(requested.into()), ..delivery("ocr/jobs/7") };
            assert_eq!(Job::of(delivery.clone(), &config).unwrap().topic, expected);
            assert_eq!(Job::of(delivery, &closed).unwrap().topic, "ocr/results/7", "not by default");
        }
    }

    #[test]
    fn what_is_too_large_is_not_read() {
        let config = WorkerConfig { max_job_bytes: 9, ..WorkerConfig::default() };
        let job = Job::of(delivery("ocr/jobs/7"), &config).unwrap();
        assert_eq!(job.image.as_ref().unwrap_err().code, "too_large");
        assert_eq!(job.bytes(), 0, "and not kept");
        let long = Job::of(delivery(&format!("ocr/jobs/{}", "x".repeat(200))), &WorkerConfig::default()).unwrap();
        assert_eq!(long.image.unwrap_err().code, "bad_id");
    }

    /// Two senders that choose the same id must each get what they asked for.
    #[test]
    fn only_the_same_question_is_the_same_job() {
        let config = WorkerConfig { response_topics: true, ..WorkerConfig::default() };
        let job = |change: fn(&mut Delivery)| {
            let mut delivery = delivery(&format!("{}/jobs/1", config.base));
            (delivery.response_topic, delivery.correlation) = (Some("a/answers".into()), Some(vec![1]));
            change(&mut delivery);
            Job::of(delivery, &config).unwrap()
        };
        let first = job(|_| ());
        assert!(job(|again| (again.duplicate, again.token) = (true, 9)).repeats(&first));
        assert!(!job(|other| other.payload[0] = 2).repeats(&first));
        assert!(!job(|other| other.response_topic = Some("b/answers".into())).repeats(&first));
        assert!(!job(|other| other.correlation = Some(vec![2])).repeats(&first));
        assert!(!job(|other| other.topic.push('0')).repeats(&first));
    }
}
