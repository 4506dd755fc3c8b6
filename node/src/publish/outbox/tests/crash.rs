//! Kills and power cuts at any moment, against a model.

use super::disk::Junk;
use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

#[derive(Clone, Debug)]
enum Step {
    Append(usize),
    /// The publisher's round: sync, send, remove.
    Send,
    Sync,
    Tick(u64),
    Close,
    Kill,
    PowerCut(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => (0usize..900).prop_map(Step::Append),
        8 => (0usize..30).prop_map(Step::Append),
        10 => Just(Step::Send),
        3 => Just(Step::Sync),
        2 => (0u64..8000).prop_map(Step::Tick),
        1 => Just(Step::Close),
        1 => Just(Step::Kill),
        2 => any::<u64>().prop_map(Step::PowerCut),
    ];
    prop::collection::vec(step, 0..120)
}

/// A record as the test knows it.
#[derive(Clone)]
struct Known {
    entry: Entry,
    synced: bool,
}

#[derive(Default)]
struct Model {
    waiting: VecDeque<Known>,
    removed: Vec<Entry>,
    last_id: u64,
}

impl Model {
    /// What may be there after an end: `lossy` if the records that were not synced may be missing.
    fn check_restart(&mut self, outbox: &mut Outbox, disk: &FakeDisk, lossy: bool) {
        let found = drain(&mut open(&disk.copy()));
        assert_eq!(found.len(), outbox.len());
        let mut missing = self.waiting.clone();
        let mut again = 0;
        let mut kept = VecDeque::new();
        for entry in found {
            if self.removed.contains(&entry) {
                assert!(kept.is_empty(), "what was removed comes before the rest");
                again += 1;
                continue;
            }
            // In order, with nothing that was not there.
            loop {
                let known = missing.pop_front().expect("a record that was never added, twice, or out of order");
                if known.entry == entry {
                    kept.push_back(Known { synced: true, ..known });
                    break;
                }
                assert!(lossy && !known.synced, "a record was lost");
            }
        }
        assert!(missing.iter().all(|known| lossy && !known.synced), "the last records were lost");
        // The duplicates are sent again.
        for _ in 0..again {
            let id = outbox.peek().unwrap().id;
            outbox.remove(id);
        }
        self.waiting = kept;
    }
}

fn run(steps: Vec<Step>) {
    let disk = FakeDisk::default();
    let mut outbox = open(&disk);
    let mut model = Model::default();
    let mut now = Instant::now();
    // What they have damaged is found again until it is deleted.
    let mut power_cuts = 0;
    for (i, step) in steps.into_iter().enumerate() {
        match step {
            Step::Append(len) => {
                let mut bytes = format!("{i}:").into_bytes();
                bytes.resize(bytes.len() + len, b'x');
                let appended = outbox.append(&bytes);
                assert!(appended.id > model.last_id, "an id was given twice");
                assert!(appended.durable);
                model.last_id = appended.id;
                for _ in 0..appended.dropped {
                    // Dropped ones may come back after a power cut, as if they had been removed.
                    model.removed.extend(model.waiting.pop_front().map(|known| known.entry));
                }
                model.waiting.push_back(Known { entry: Entry { id: appended.id, bytes }, synced: false });
            }
            Step::Send => {
                let Some(entry) = outbox.peek() else {
                    assert!(model.waiting.is_empty());
                    continue;
                };
                outbox.sync();
                model.waiting.iter_mut().for_each(|known| known.synced = true);
                let known = model.waiting.pop_front().expect("something waits");
                assert_eq!(known.entry, entry);
                outbox.remove(entry.id);
                model.removed.push(entry);
            }
            Step::Sync => {
                outbox.sync();
                model.waiting.iter_mut().for_each(|known| known.synced = true);
            }
            Step::Tick(ms) => {
                now += Duration::from_millis(ms);
                outbox.tick(now);
            }
            Step::Close => {
                drop(outbox);
                outbox = open(&disk);
                assert!(outbox.status().damaged_total == 0 || power_cuts > 0);
                assert_eq!(outbox.len(), model.waiting.len(), "an orderly end leaves what waits, no more and no less");
                model.check_restart(&mut outbox, &disk, false);
            }
            Step::Kill => {
                kill(outbox, &disk);
                outbox = open(&disk);
                assert!(outbox.status().damaged_total == 0 || power_cuts > 0);
                model.check_restart(&mut outbox, &disk, false);
            }
            Step::PowerCut(seed) => {
                kill(outbox, &disk);
                disk.cut_power(&mut Junk(seed | 1));
                power_cuts += 1;
                outbox = open(&disk);
                // Nobody has seen the others.
                let synced = model.waiting.iter().filter(|known| known.synced).map(|known| known.entry.id);
                model.last_id = synced.chain(model.removed.iter().map(|entry| entry.id)).max().unwrap_or(0);
                model.check_restart(&mut outbox, &disk, true);
            }
        }
        assert_eq!(outbox.len(), model.waiting.len());
        assert!(outbox.status().on_disk && outbox.status().bytes <= small().max_bytes);
    }
    let waiting: Vec<_> = model.waiting.into_iter().map(|known| known.entry).collect();
    assert_eq!(drain(&mut outbox), waiting);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(400)))]
    #[test]
    fn nothing_synced_is_lost_and_the_order_stays(steps in steps()) {
        run(steps);
    }
}

#[test]
fn a_log_cut_at_any_byte_keeps_what_is_before() {
    let disk = FakeDisk::default();
    let mut outbox = open(&disk);
    for text in numbers(0..12) {
        outbox.append(text.as_bytes());
    }
    let id = outbox.peek().unwrap().id;
    outbox.remove(id);
    outbox.append(b"record 12");
    let last = outbox.next_id;
    kill(outbox, &disk);
    let (number, whole) = disk.state().files.iter().next().map(|(&n, node)| (n, node.bytes.clone())).unwrap();
    let mut seen = 0;
    for cut in 0..1000 {
        disk.state().files.get_mut(&number).unwrap().bytes = whole[..cut].to_vec();
        let mut outbox = open(&disk);
        let found = texts(
            &std::iter::from_fn(|| {
                let entry = outbox.peek()?;
                outbox.remove(entry.id);
                Some(entry)
            })
            .collect::<Vec<_>>(),
        );
        let all = numbers(0..13);
        // The removal of the first is before the last.
        let marked = all[1..].starts_with(&found);
        assert!(marked || all.starts_with(&found), "cut at {cut}: {found:?}");
        assert!(found.len() >= seen || marked, "cut at {cut}");
        seen = found.len();
        assert!(outbox.status().damaged_total <= 1);
        assert!(outbox.append(b"after").id >= last, "an id that was lost is not given again");
        kill(outbox, &disk);
        let files = &mut disk.state().files;
        files.clear();
        files.insert(number, disk::Node { bytes: whole.clone(), ..Default::default() });
    }
    assert_eq!(seen, 12, "the last cut is behind everything");
}
