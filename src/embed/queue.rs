//! The texts that wait for the model, and which of them are taken together.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::{EmbedError, ModelId};

/// The most texts that may wait.
pub(super) const WAITING_TEXTS_MAX: usize = 16_384;

/// The most texts in one job.
const JOB_TEXTS_MAX: usize = 32;

/// A job ends at about this many bytes of text: a few tenths of a second, which is how long a
/// query may have to wait behind it.
const JOB_BYTES_MAX: usize = 4096;

/// No model reads much more of one text than this, so no text counts for more.
const TEXT_BYTES_COUNTED: usize = 1024;

/// A vector and the model that made it.
pub(super) type Vector = (Arc<ModelId>, Vec<f32>);

/// What a waiting text gets.
pub(super) type Answer = Result<Vector, Arc<EmbedError>>;

/// One text and who waits for its vector.
pub(super) struct Waiting {
    /// All texts of the request.
    pub(super) texts: Arc<[String]>,
    /// Which of them this is.
    pub(super) index: usize,
    pub(super) answer: oneshot::Sender<Answer>,
}

impl Waiting {
    pub(super) fn text(&self) -> &str {
        &self.texts[self.index]
    }

    pub(super) fn answer(self, answer: Answer) {
        // Fails when the caller has stopped waiting, which is its right.
        let _ = self.answer.send(answer);
    }
}

/// Two lanes, so that a query does not wait behind a whole import, nor the import for ever.
#[derive(Default)]
pub(super) struct Queue {
    single: VecDeque<Waiting>,
    many: VecDeque<Waiting>,
    many_next: bool,
}

impl Queue {
    /// Adds the texts of one request: all of them, or none when the queue would grow too long.
    pub(super) fn push(&mut self, request: Vec<Waiting>) -> Result<(), EmbedError> {
        if self.len() + request.len() > WAITING_TEXTS_MAX {
            return Err(EmbedError::Busy);
        }
        let lane = if request.len() == 1 { &mut self.single } else { &mut self.many };
        lane.extend(request);
        Ok(())
    }

    /// How many texts wait.
    pub(super) fn len(&self) -> usize {
        self.single.len() + self.many.len()
    }

    /// Takes the oldest text and those of like length behind it; empty when nothing waits.
    pub(super) fn take_job(&mut self) -> Vec<Waiting> {
        self.many_next = !self.many_next;
        let (first, second) = match self.many_next {
            true => (&mut self.single, &mut self.many),
            false => (&mut self.many, &mut self.single),
        };
        let job = take_from(first);
        if job.is_empty() { take_from(second) } else { job }
    }
}

fn take_from(lane: &mut VecDeque<Waiting>) -> Vec<Waiting> {
    lane.retain(|waiting| !waiting.answer.is_closed());
    let Some(oldest) = lane.pop_front() else {
        return Vec::new();
    };
    let like = counted(&oldest);
    let mut bytes = like;
    let mut job = vec![oldest];
    let mut at = 0;
    while at < lane.len() && job.len() < JOB_TEXTS_MAX && bytes < JOB_BYTES_MAX {
        let length = counted(&lane[at]);
        if length * 4 >= like * 3 && length * 3 <= like * 4 {
            bytes += length;
            job.extend(lane.remove(at));
        } else {
            at += 1;
        }
    }
    job
}

fn counted(waiting: &Waiting) -> usize {
    waiting.text().len().clamp(1, TEXT_BYTES_COUNTED)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests of these texts, and the receivers that keep them wanted.
    fn fill(queue: &mut Queue, requests: &[&[usize]]) -> Vec<oneshot::Receiver<Answer>> {
        let mut receivers = Vec::new();
        for lengths in requests {
            let texts: Arc<[String]> = lengths.iter().map(|&length| "x".repeat(length)).collect();
            let waiting = |index| {
                let (answer, receiver) = oneshot::channel();
                receivers.push(receiver);
                Waiting { texts: Arc::clone(&texts), index, answer }
            };
            queue.push((0..lengths.len()).map(waiting).collect()).unwrap();
        }
        receivers
    }

    fn take(queue: &mut Queue) -> Vec<usize> {
        queue.take_job().iter().map(|waiting| waiting.text().len()).collect()
    }

    #[test]
    fn the_oldest_goes_first_with_texts_of_like_length() {
        let mut queue = Queue::default();
        let receivers = fill(&mut queue, &[&[40], &[400], &[45], &[10], &[390]]);
        assert_eq!(take(&mut queue), [40, 45]);
        assert_eq!(take(&mut queue), [400, 390]);
        assert_eq!(take(&mut queue), [10]);
        assert_eq!(take(&mut queue), [0; 0]);
        drop(receivers);
    }

    #[test]
    fn a_job_is_bounded_by_texts_and_by_bytes() {
        let mut queue = Queue::default();
        let _wanted = fill(&mut queue, &[&[10; 100], &[50_000; 10], &[0; 40]]);
        assert_eq!(take(&mut queue).len(), JOB_TEXTS_MAX);
        while take(&mut queue).first() == Some(&10) {}
        assert_eq!(take(&mut queue).len(), 4);
    }

    #[test]
    fn single_texts_and_long_requests_take_turns() {
        let mut queue = Queue::default();
        let _wanted = fill(&mut queue, &[&[9000; 9], &[10], &[5000]]);
        let firsts: Vec<usize> = (0..4).map(|_| take(&mut queue)[0]).collect();
        assert_eq!(firsts, [10, 9000, 5000, 9000]);
    }

    #[test]
    fn a_text_nobody_waits_for_is_skipped() {
        let mut queue = Queue::default();
        let mut receivers = fill(&mut queue, &[&[10], &[11], &[12]]);
        receivers.remove(1);
        assert_eq!(take(&mut queue), [10, 12]);
    }

    #[test]
    fn a_request_enters_whole_or_not_at_all() {
        let mut queue = Queue::default();
        let _wanted = fill(&mut queue, &[&[1; WAITING_TEXTS_MAX]]);
        let (answer, _receiver) = oneshot::channel();
        let one = Waiting { texts: Arc::new(["x".into()]), index: 0, answer };
        assert!(matches!(queue.push(vec![one]), Err(EmbedError::Busy)));
    }
}
