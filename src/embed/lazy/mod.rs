//! The node's one embedder: loads in the background, gathers waiting texts, keeps to the cores.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::time::timeout_at;

use super::queue::{Answer, Queue, Vector, Waiting};
use super::{EmbedError, Embedder, EmbedderChoice, ModelId, cores};

/// An embedder that may still be loading; calls wait for it.
///
/// Texts of all callers wait in one queue. Whoever gets a permit, one per core, takes a job of
/// like texts from it and runs it where blocking is allowed, for everyone who asked.
pub struct LazyEmbedder {
    state: watch::Sender<State>,
    queue: Arc<Mutex<Queue>>,
    permits: Arc<Semaphore>,
}

/// The vectors of one request, all of one model.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedded {
    /// The model that made them: whoever stores them checks that it is still the file's.
    pub model: Arc<ModelId>,
    /// One unit-length vector per text, in the same order.
    pub vectors: Vec<Vec<f32>>,
}

#[derive(Clone)]
enum State {
    Loading,
    Ready(Arc<dyn Embedder>),
    Failed(Arc<EmbedError>),
}

impl LazyEmbedder {
    /// Starts loading on a thread of its own.
    pub fn start(choice: EmbedderChoice) -> Arc<LazyEmbedder> {
        Self::start_with(move || choice.load())
    }

    fn start_with(
        load: impl FnOnce() -> Result<Arc<dyn Embedder>, EmbedError> + Send + 'static,
    ) -> Arc<LazyEmbedder> {
        let embedder = Arc::new(LazyEmbedder::new(State::Loading));
        let loaded = Arc::clone(&embedder);
        let thread = std::thread::Builder::new().name("embed-load".into());
        let started = thread.spawn(move || loaded.finish(load));
        if let Err(error) = started {
            embedder.fail(EmbedError::NotLoaded { reason: error.to_string() });
        }
        embedder
    }

    /// An embedder that is ready at once.
    pub fn loaded(embedder: Arc<dyn Embedder>) -> Arc<LazyEmbedder> {
        Arc::new(LazyEmbedder::new(State::Ready(embedder)))
    }

    fn new(state: State) -> Self {
        LazyEmbedder {
            state: watch::Sender::new(state),
            queue: Arc::default(),
            permits: Arc::new(Semaphore::new(cores::count())),
        }
    }

    fn finish(&self, load: impl FnOnce() -> Result<Arc<dyn Embedder>, EmbedError>) {
        // A file that makes the runtime panic is a failure like another: waiters must learn.
        match catch_unwind(AssertUnwindSafe(load)) {
            Ok(Ok(embedder)) => self.replace(embedder),
            Ok(Err(error)) => self.fail(error),
            Err(_) => self.fail(EmbedError::Panicked),
        }
    }

    fn fail(&self, error: EmbedError) {
        self.state.send_replace(State::Failed(Arc::new(error)));
    }

    /// Uses another model from now on; texts that wait are embedded by it.
    pub fn replace(&self, embedder: Arc<dyn Embedder>) {
        self.state.send_replace(State::Ready(embedder));
    }

    /// Whether the model is loaded.
    pub fn ready(&self) -> bool {
        self.current().is_some()
    }

    /// Why loading failed, when it did.
    pub fn failed(&self) -> Option<Arc<EmbedError>> {
        match &*self.state.borrow() {
            State::Failed(error) => Some(Arc::clone(error)),
            State::Loading | State::Ready(_) => None,
        }
    }

    /// How many texts wait for the model.
    pub fn waiting_count(&self) -> usize {
        self.queue.lock().len()
    }

    /// The model in use, once it is loaded.
    pub fn current(&self) -> Option<Arc<dyn Embedder>> {
        match &*self.state.borrow() {
            State::Ready(embedder) => Some(Arc::clone(embedder)),
            State::Loading | State::Failed(_) => None,
        }
    }

    /// From how many single texts at a time more gain nothing.
    pub fn parallelism(&self) -> usize {
        self.current().map_or_else(cores::count, |embedder| embedder.parallelism())
    }

    /// Waits until the model is loaded.
    ///
    /// # Errors
    /// Why loading failed, or `DeadlineExceeded`.
    pub async fn wait_ready(&self, deadline: Instant) -> crate::Result<Arc<dyn Embedder>> {
        let mut state = self.state.subscribe();
        let settled = state.wait_for(|state| !matches!(state, State::Loading));
        // Too late or not, the state tells: Loading is what it is when time has run out.
        drop(timeout_at(deadline.into(), settled).await);
        match &*self.state.borrow() {
            State::Ready(embedder) => Ok(Arc::clone(embedder)),
            State::Failed(error) => Err(Arc::clone(error).into()),
            State::Loading => Err(EmbedError::Late.into()),
        }
    }

    /// One unit-length vector per text, in the same order.
    ///
    /// # Errors
    /// Why the model cannot answer; `Unavailable` when too many texts wait; `DeadlineExceeded`.
    pub async fn embed(&self, texts: Vec<String>, deadline: Instant) -> crate::Result<Embedded> {
        let texts: Arc<[String]> = texts.into();
        loop {
            let embedder = self.wait_ready(deadline).await?;
            if texts.is_empty() {
                let model = Arc::new(embedder.model().clone());
                return Ok(Embedded { model, vectors: Vec::new() });
            }
            let answers = timeout_at(deadline.into(), self.answers(&texts)).await;
            let answers = answers.map_err(|_| EmbedError::Late)??;
            // The model may have been replaced between two jobs of one request.
            if let Some(embedded) = of_one_model(answers) {
                return Ok(embedded);
            }
        }
    }

    /// Puts the texts into the queue and helps to empty it until their answers are there.
    async fn answers(&self, texts: &Arc<[String]>) -> Result<Vec<Vector>, Arc<EmbedError>> {
        let (request, receivers) = request(texts);
        self.queue.lock().push(request)?;
        let mut answers = pin!(collect(receivers));
        loop {
            let permit = tokio::select! {
                biased;
                answers = &mut answers => return answers,
                permit = Arc::clone(&self.permits).acquire_owned() => permit,
            };
            let permit = permit.expect("the semaphore is never closed");
            if !self.start_job(permit) {
                return answers.await;
            }
        }
    }

    /// Takes a job from the queue and runs it; false when nothing waits.
    fn start_job(&self, permit: OwnedSemaphorePermit) -> bool {
        let Some(embedder) = self.current() else {
            return false;
        };
        let job = self.queue.lock().take_job();
        if job.is_empty() {
            return false;
        }
        // Nobody awaits the task itself: the answers come one by one, also when it panics.
        tokio::task::spawn_blocking(move || {
            run_job(&*embedder, job);
            drop(permit);
        });
        true
    }
}

/// Waiting texts and the other ends of their answers.
fn request(texts: &Arc<[String]>) -> (Vec<Waiting>, Vec<oneshot::Receiver<Answer>>) {
    let waiting = |index| {
        let (answer, receiver) = oneshot::channel();
        (Waiting { texts: Arc::clone(texts), index, answer }, receiver)
    };
    (0..texts.len()).map(waiting).unzip()
}

async fn collect(
    receivers: Vec<oneshot::Receiver<Answer>>,
) -> Result<Vec<Vector>, Arc<EmbedError>> {
    let mut vectors = Vec::with_capacity(receivers.len());
    for receiver in receivers {
        let answer = receiver.await;
        vectors.push(answer.map_err(|_| EmbedError::Panicked)??);
    }
    Ok(vectors)
}

/// Embeds the texts of a job and hands each caller its vector.
fn run_job(embedder: &dyn Embedder, job: Vec<Waiting>) {
    let texts: Vec<&str> = job.iter().map(Waiting::text).collect();
    let vectors = embedder.embed(&texts);
    if matches!(vectors, Err(EmbedError::Failed { .. })) && job.len() > 1 {
        // The callers share the job by chance: one bad text must not fail the others.
        return job.into_iter().for_each(|waiting| run_job(embedder, vec![waiting]));
    }
    let model = Arc::new(embedder.model().clone());
    match vectors.map_err(Arc::new) {
        Ok(vectors) => {
            for (waiting, vector) in job.into_iter().zip(vectors) {
                waiting.answer(Ok((Arc::clone(&model), vector)));
            }
        }
        Err(error) => {
            job.into_iter().for_each(|waiting| waiting.answer(Err(Arc::clone(&error))));
        }
    }
}

/// The vectors with their model, unless two models made them.
fn of_one_model(answers: Vec<Vector>) -> Option<Embedded> {
    let (model, _) = answers.first()?;
    let model = Arc::clone(model);
    let one = answers.iter().all(|(other, _)| **other == *model);
    let vectors = answers.into_iter().map(|(_, vector)| vector).collect();
    one.then_some(Embedded { model, vectors })
}

#[cfg(test)]
mod tests;
