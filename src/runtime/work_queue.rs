//! A work queue like that of client-go: a key is processed by one worker at a time, in the order of the first addition, and
//! again if it is added meanwhile.
//!
//! kube's `applier` has such a queue, too, but starts each reconciliation by a timer, two milliseconds late.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use futures::StreamExt as _;
use tokio_util::time::{DelayQueue, delay_queue};

/// A longer wait ends after this time. The timer cannot represent any length.
const LONGEST_WAIT: Duration = Duration::from_hours(24 * 365);

/// Keys that wait for a worker, have one, or wait for a time.
#[derive(Debug)]
pub struct WorkQueue<K> {
    ready: VecDeque<K>,
    /// The keys to process: those in `ready`, and those that were added while a worker has them.
    added: HashSet<K>,
    /// The keys that a worker has.
    busy: HashSet<K>,
    later: DelayQueue<K>,
    timers: HashMap<K, delay_queue::Key>,
}

impl<K> Default for WorkQueue<K> {
    fn default() -> Self {
        Self {
            ready: VecDeque::new(),
            added: HashSet::new(),
            busy: HashSet::new(),
            later: DelayQueue::new(),
            timers: HashMap::new(),
        }
    }
}

impl<K: Clone + Eq + Hash> WorkQueue<K> {
    /// Adds a key, which need not wait for its time any more.
    pub fn add(&mut self, key: K) {
        if let Some(timer) = self.timers.remove(&key) {
            self.later.remove(&timer);
        }
        if self.added.insert(key.clone()) && !self.busy.contains(&key) {
            self.ready.push_back(key);
        }
    }

    /// Gives the next key to a worker; `None` if no key is ready.
    pub fn take(&mut self) -> Option<K> {
        let key = self.ready.pop_front()?;
        self.added.remove(&key);
        self.busy.insert(key.clone());
        Some(key)
    }

    /// Takes the key back from its worker. It is processed again if it was added meanwhile, and otherwise after this time,
    /// if any.
    pub fn put_back(&mut self, key: K, after: Option<Duration>) {
        self.busy.remove(&key);
        if self.added.contains(&key) {
            self.ready.push_back(key);
        } else if let Some(after) = after {
            let timer = self.later.insert(key.clone(), after.min(LONGEST_WAIT));
            self.timers.insert(key, timer);
        }
    }

    /// Waits until the time of a key has come, and adds it; false if no key waits for a time.
    pub async fn add_next(&mut self) -> bool {
        let Some(expired) = self.later.next().await else { return false };
        let key = expired.into_inner();
        self.timers.remove(&key);
        self.add(key);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(queue: &mut WorkQueue<u8>) -> Vec<u8> {
        std::iter::from_fn(|| queue.take()).collect()
    }

    #[test]
    fn keys_are_processed_once_in_the_order_of_their_first_addition() {
        let mut queue = WorkQueue::default();
        for key in [3, 1, 3, 2, 1] {
            queue.add(key);
        }
        assert_eq!(taken(&mut queue), [3, 1, 2]);
    }

    #[test]
    fn a_key_that_is_added_while_a_worker_has_it_is_processed_again_afterwards() {
        let mut queue = WorkQueue::default();
        queue.add(1);
        assert_eq!(taken(&mut queue), [1]);
        queue.add(1);
        assert_eq!(taken(&mut queue), [0; 0], "only one worker may have it");
        queue.put_back(1, Some(Duration::MAX));
        assert_eq!(taken(&mut queue), [1]);
        queue.put_back(1, None);
        assert_eq!(taken(&mut queue), [0; 0], "once is enough");
    }

    #[tokio::test(start_paused = true)]
    async fn keys_are_processed_again_when_their_time_has_come() {
        let mut queue = WorkQueue::default();
        for (key, after) in [(1, Some(20)), (2, Some(10)), (3, None), (4, Some(u64::MAX))] {
            queue.add(key);
            assert_eq!(queue.take(), Some(key));
            queue.put_back(key, after.map(Duration::from_secs));
        }
        let begin = tokio::time::Instant::now();
        for (key, seconds) in [(2, 10), (1, 20), (4, LONGEST_WAIT.as_secs())] {
            assert!(queue.add_next().await);
            assert_eq!((taken(&mut queue), begin.elapsed().as_secs()), (vec![key], seconds));
        }
        assert!(!queue.add_next().await, "no key waits for a time");
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_is_added_before_its_time_is_processed_at_once_and_only_once() {
        let mut queue = WorkQueue::default();
        queue.add(1);
        queue.take();
        queue.put_back(1, Some(Duration::from_secs(10)));
        queue.add(1);
        assert_eq!(taken(&mut queue), [1]);
        assert!(!queue.add_next().await);
    }
}
