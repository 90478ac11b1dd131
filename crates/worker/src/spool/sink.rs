//! Where executors put output.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use jobyard_core::{
    Clock, OutputPlace, OutputProgress, OutputSink, OutputStream, Timestamp, ValidSpec,
};
use jobyard_launcher::spool::{Filter, MaskFilter, Masks};
use tokio::task::spawn_blocking;

use super::log::SpoolLog;

/// Puts the output of one attempt into the spool, with the time at which it came, or lets a launcher do that. A slow
/// disk holds up the attempt's own output and nothing else.
///
/// What is written here is masked here, whoever writes it. A launcher masks what it puts into the
/// [`place`](OutputSink::place).
#[derive(Debug)]
pub struct SpoolSink {
    log: Arc<SpoolLog>,
    clock: Arc<dyn Clock>,
    masking: Arc<Mutex<Masking>>,
}

impl SpoolSink {
    /// A sink into this log, for output in which the secrets of this spec must not be seen.
    pub fn new(log: Arc<SpoolLog>, clock: Arc<dyn Clock>, spec: &ValidSpec) -> Self {
        Self {
            log,
            clock,
            masking: Arc::new(Mutex::new(Masking::of(spec))),
        }
    }

    /// Nothing follows: writes what was held back, since it might have become a secret.
    pub async fn finish(&self) {
        let at = self.clock.now().wall;
        self.with_masking(move |masking, log| masking.finish(at, log))
            .await;
    }

    /// Does something that blocks.
    async fn with_masking(&self, act: impl FnOnce(&mut Masking, &SpoolLog) + Send + 'static) {
        let (log, masking) = (Arc::clone(&self.log), Arc::clone(&self.masking));
        // Fails only when the runtime ends, and then nobody reads the output any more.
        let _ = spawn_blocking(move || {
            let mut masking = masking.lock().unwrap_or_else(PoisonError::into_inner);
            act(&mut masking, &log);
        })
        .await;
    }
}

#[async_trait]
impl OutputSink for SpoolSink {
    async fn write(&self, stream: OutputStream, bytes: Bytes) {
        let at = self.clock.now().wall;
        self.with_masking(move |masking, log| masking.write(stream, at, &bytes, log))
            .await;
    }

    fn place(&self) -> Option<OutputPlace> {
        Some(self.log.place())
    }

    fn advanced(&self, progress: OutputProgress) {
        self.log.follow(progress);
    }

    fn cut_short(&self) {
        self.log.cut_short();
    }
}

/// How secrets are kept out of what is written here.
#[derive(Debug)]
enum Masking {
    /// There are none.
    Needless,
    /// Nothing was written so far; mostly a launcher does it.
    Unused(ValidSpec),
    Used(Box<MaskFilter>),
    /// The attempt was begun by an earlier life of the worker, which kept its secrets to itself: nothing can be masked,
    /// so nothing is written.
    Impossible,
}

impl Masking {
    fn of(spec: &ValidSpec) -> Self {
        if spec.secret_env.is_empty() {
            Self::Needless
        } else if spec.has_hidden_secrets() {
            Self::Impossible
        } else {
            Self::Unused(spec.clone())
        }
    }

    fn write(&mut self, stream: OutputStream, at: Timestamp, bytes: &Bytes, log: &SpoolLog) {
        if let Self::Unused(spec) = self {
            let masks = Masks::new(spec.secret_env.values());
            *self = Self::Used(Box::new(MaskFilter::new(&masks)));
        }
        match self {
            Self::Needless | Self::Unused(_) => log.write(stream, at, bytes),
            Self::Used(filter) => {
                let mut shown = BytesMut::new();
                filter.filter(stream, bytes, &mut shown);
                log.write(stream, at, &shown.freeze());
            }
            Self::Impossible => log.refuse(bytes.len() as u64),
        }
    }

    fn finish(&mut self, at: Timestamp, log: &SpoolLog) {
        let Self::Used(filter) = self else { return };
        for stream in [OutputStream::Stdout, OutputStream::Stderr] {
            let mut shown = BytesMut::new();
            filter.finish(stream, &mut shown);
            if !shown.is_empty() {
                log.write(stream, at, &shown.freeze());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use jobyard_clock::SystemClock;
    use jobyard_core::{AttemptId, AttemptNumber, JobId, JobSpec, LogEnd, SecretText};
    use uuid::Uuid;

    use super::*;
    use crate::spool::SpoolReader;

    fn spec() -> ValidSpec {
        let mut spec = JobSpec::default();
        let secret = SecretText::new("hunter2");
        spec.secret_env.insert("TOKEN".to_owned(), secret);
        spec.validate().expect("valid")
    }

    /// What is in the spool after these writes of an executor without processes, and where it ends.
    async fn written(dir: &Path, spec: &ValidSpec, pieces: &[&'static str]) -> (Vec<u8>, LogEnd) {
        let attempt = AttemptId::new(JobId::from_uuid(Uuid::from_u128(1)), AttemptNumber::FIRST);
        let log = Arc::new(SpoolLog::new(attempt, dir.join("a"), u64::MAX));
        let sink = SpoolSink::new(Arc::clone(&log), Arc::new(SystemClock::new()), spec);
        for piece in pieces {
            let bytes = Bytes::from_static(piece.as_bytes());
            sink.write(OutputStream::Stdout, bytes).await;
        }
        sink.finish().await;
        let end = log.close();
        let chunks = SpoolReader::new(log, 0).read(1_000).expect("readable");
        let bytes = chunks.iter().flat_map(|chunk| chunk.bytes.to_vec());
        (bytes.collect(), end)
    }

    #[tokio::test]
    async fn what_an_executor_writes_itself_is_masked_xl3() {
        let dir = tempfile::tempdir().expect("a directory");
        let (bytes, end) = written(dir.path(), &spec(), &["a hun", "ter2, hun"]).await;
        assert_eq!(String::from_utf8_lossy(&bytes), "a ***, hun");
        assert_eq!((end.bytes, end.dropped), (10, 0));
    }

    #[tokio::test]
    async fn what_cannot_be_masked_any_more_is_dropped_and_counted() {
        let dir = tempfile::tempdir().expect("a directory");
        let hidden = spec().hide_secrets();
        let (bytes, end) = written(dir.path(), &hidden, &["a hun", "ter2"]).await;
        assert_eq!(bytes, b"");
        assert_eq!((end.bytes, end.dropped), (0, 9));
    }
}
