//! Messages as bytes.

use bytes::{Buf, BufMut, BytesMut};
use jobyard_core::{AttemptId, Exit, OutputProgress, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

#[cfg(target_os = "linux")]
use super::Request;
use super::{End, MAX_MESSAGE_BYTES, Reply};

/// Appends a message to bytes that are about to be sent.
///
/// # Errors
///
/// It is too long, or has a path that is not UTF-8. Nothing was appended then.
pub fn encode<T: Serialize>(message: &T, out: &mut BytesMut) -> Result<(), CodecError> {
    // On its own first: what is written by many small steps is written faster to a plain vector.
    let mut json = Vec::with_capacity(USUAL_BYTES);
    serde_json::to_writer(&mut json, message).map_err(CodecError::Json)?;
    let length = json.len();
    let prefix = u32::try_from(length).ok();
    let prefix = prefix
        .filter(|_| length <= MAX_MESSAGE_BYTES)
        .ok_or(CodecError::TooLong { bytes: length })?;
    out.reserve(PREFIX + length);
    out.put_u32(prefix);
    out.put_slice(&json);
    Ok(())
}

const PREFIX: usize = 4;

/// For messages of how many bytes room is kept: far more than one has, but for long lists of attempts and large
/// environments.
const MOST_KEPT: usize = 256 * 1024;

/// What most messages have at most.
const USUAL_BYTES: usize = 1024;

/// Puts messages together from bytes that were received.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: BytesMut,
}

impl Decoder {
    /// Takes bytes in the order in which they came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next message, if it is whole. After an error the stream cannot be understood any more.
    ///
    /// # Errors
    ///
    /// The other side says what is not of this protocol.
    pub fn decode<T: DeserializeOwned>(&mut self) -> Result<Option<T>, CodecError> {
        self.decode_by(|body| serde_json::from_slice(body))
    }

    /// The next request, as [`decode`](Self::decode) gives it. The usual ones are read in one go, where what is known of any
    /// message alone has to be kept apart first.
    #[cfg(target_os = "linux")]
    pub(crate) fn decode_request(&mut self) -> Result<Option<Request>, CodecError> {
        self.decode_by(|body| match kind_of(body) {
            b"start" => serde_json::from_slice(body).map(Request::Start),
            b"forget" => {
                serde_json::from_slice(body).map(|Forget { attempt }| Request::Forget { attempt })
            }
            _ => serde_json::from_slice(body),
        })
    }

    /// The next reply, as [`decode`](Self::decode) gives it, where the usual ones are read in one go.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn decode_reply(&mut self) -> Result<Option<Reply>, CodecError> {
        self.decode_by(|body| match kind_of(body) {
            b"started" => serde_json::from_slice(body).map(Started::into_reply),
            b"output" => serde_json::from_slice(body).map(Output::into_reply),
            b"exited" => serde_json::from_slice(body).map(Exited::into_reply),
            b"ended" => serde_json::from_slice(body).map(Ended::into_reply),
            _ => serde_json::from_slice(body),
        })
    }

    /// Reads the next message where it lies: nothing is handed out that would keep the buffer from being used again.
    fn decode_by<T>(
        &mut self,
        read: impl FnOnce(&[u8]) -> Result<T, serde_json::Error>,
    ) -> Result<Option<T>, CodecError> {
        let Some((prefix, rest)) = self.buffer.split_first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes(*prefix)).unwrap_or(usize::MAX);
        if length > MAX_MESSAGE_BYTES {
            return Err(CodecError::TooLong { bytes: length });
        }
        let Some(body) = rest.get(..length) else {
            return Ok(None);
        };
        let message = read(body);
        self.buffer.advance(PREFIX + length);
        if length > MOST_KEPT {
            // What it took to hold that is given back.
            self.buffer = BytesMut::from(&self.buffer[..]);
        }
        message.map(Some).map_err(CodecError::Json)
    }
}

/// What of a message says which it is, where that comes first, as it does from all who wrote messages so far; else nothing.
fn kind_of(body: &[u8]) -> &[u8] {
    let rest = body.strip_prefix(br#"{"kind":""#).unwrap_or_default();
    let end = rest.iter().position(|byte| *byte == b'"');
    end.map_or(&[], |end| &rest[..end])
}

/// See [`Request::Forget`].
#[cfg(target_os = "linux")]
#[derive(Deserialize)]
struct Forget {
    attempt: AttemptId,
}

/// See [`Reply::Started`].
#[derive(Deserialize)]
struct Started {
    attempt: AttemptId,
    pid: u32,
    start_time: u64,
}

impl Started {
    fn into_reply(self) -> Reply {
        Reply::Started {
            attempt: self.attempt,
            pid: self.pid,
            start_time: self.start_time,
        }
    }
}

/// See [`Reply::Output`].
#[derive(Deserialize)]
struct Output {
    attempt: AttemptId,
    progress: OutputProgress,
}

impl Output {
    fn into_reply(self) -> Reply {
        Reply::Output {
            attempt: self.attempt,
            progress: self.progress,
        }
    }
}

/// See [`Reply::Exited`].
#[derive(Deserialize)]
struct Exited {
    attempt: AttemptId,
    exit: Exit,
    at: Timestamp,
}

impl Exited {
    fn into_reply(self) -> Reply {
        Reply::Exited {
            attempt: self.attempt,
            exit: self.exit,
            at: self.at,
        }
    }
}

/// See [`Reply::Ended`].
#[derive(Deserialize)]
struct Ended {
    attempt: AttemptId,
    end: End,
}

impl Ended {
    fn into_reply(self) -> Reply {
        Reply::Ended {
            attempt: self.attempt,
            end: self.end,
        }
    }
}

/// Why bytes are no message, or a message cannot become bytes. A bug, or another program at the other end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// It is longer than a message may be.
    #[error("a message of {bytes} bytes is longer than the {MAX_MESSAGE_BYTES} that are allowed")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// It is not the JSON of a message.
    #[error("not a message: {0}")]
    Json(#[source] serde_json::Error),
}

#[cfg(test)]
mod tests {
    use jobyard_core::{AttemptNumber, Containment, JobId};

    use super::*;
    use crate::protocol::{CageFacts, Launch, LaunchFailure, Mechanism, Request, Stage, Welcome};

    #[test]
    fn messages_arrive_whatever_the_pieces() {
        let sent = [Request::Hello { version: 7 }, Request::Retire];
        let mut bytes = BytesMut::new();
        for message in &sent {
            encode(message, &mut bytes).expect("short enough");
        }
        let mut decoder = Decoder::default();
        let mut received = Vec::new();
        for byte in bytes {
            decoder.push(&[byte]);
            while let Some(message) = decoder.decode::<Request>().expect("a message") {
                received.push(message);
            }
        }
        assert_eq!(received, sent);
    }

    #[test]
    fn an_older_launcher_does_not_say_whether_something_may_be_left() {
        let failure = LaunchFailure::new(Stage::Cage, 2, "none");
        let job = JobId::from_uuid(uuid::Uuid::from_u128(1));
        let reply = Reply::NotStarted {
            attempt: AttemptId::new(job, AttemptNumber::FIRST),
            failure,
            unconfirmed: false,
        };
        let text = serde_json::to_string(&reply).expect("JSON");
        let older = text.replace(r#","unconfirmed":false"#, "");
        assert_ne!(older, text);
        assert_eq!(serde_json::from_str::<Reply>(&older).expect("JSON"), reply);
    }

    #[test]
    fn an_older_launcher_knows_nothing_of_a_time_by_which_all_is_over() {
        let facts = CageFacts::new(Mechanism::Subreaper, Containment::BestEffort, None);
        let welcome = Reply::Welcome(Box::new(Welcome::new(1, "0.1.0", 7, facts)));
        let text = serde_json::to_string(&welcome).expect("JSON");
        let older = text.replace(r#","leases":true"#, "");
        assert_ne!(older, text);
        match serde_json::from_str::<Reply>(&older).expect("JSON") {
            Reply::Welcome(welcome) => assert!(!welcome.leases),
            other => panic!("{other:?}"),
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_request_is_what_any_message_is() {
        let job = JobId::from_uuid(uuid::Uuid::from_u128(1));
        let attempt = AttemptId::new(job, AttemptNumber::FIRST);
        let dir = crate::protocol::WorkDir::at("/".into());
        let argv = vec!["\"start\"".to_owned()];
        let mut launch = Launch::new(attempt, "/x".into(), argv, dir, "/output".into());
        launch.env.insert("kind".to_owned(), "start".to_owned());
        let sent = [
            Request::Hello { version: 7 },
            Request::Start(Box::new(launch)),
            Request::Kill { attempt },
        ];
        let mut bytes = BytesMut::new();
        for message in &sent {
            encode(message, &mut bytes).expect("short enough");
        }
        let (mut decoder, mut other) = (Decoder::default(), Decoder::default());
        decoder.push(&bytes);
        other.push(&bytes);
        for message in sent {
            let request = decoder.decode_request().expect("a request");
            assert_eq!(request, other.decode().expect("a message"));
            assert_eq!(request, Some(message));
        }
        decoder.push(&7_u32.to_be_bytes());
        decoder.push(b"{\"a\":1}");
        assert!(decoder.decode_request().is_err());
    }

    #[test]
    fn a_reply_is_what_any_message_is() {
        let job = JobId::from_uuid(uuid::Uuid::from_u128(1));
        let attempt = AttemptId::new(job, AttemptNumber::FIRST);
        let (exit, at) = (Exit::Signaled(9), Timestamp::from_micros(1));
        let progress = OutputProgress::new(1, 2, 3);
        let mut end = End::new(exit, at, progress);
        end.residue.killed = 7;
        let sent = [
            Reply::Started {
                attempt,
                pid: 4,
                start_time: 5,
            },
            Reply::Output { attempt, progress },
            Reply::Exited { attempt, exit, at },
            Reply::Ended { attempt, end },
            Reply::NotStarted {
                attempt,
                failure: LaunchFailure::new(Stage::Cage, 2, "none"),
                unconfirmed: true,
            },
        ];
        for reply in sent {
            let text = serde_json::to_string(&reply).expect("JSON");
            let kind = text.find(',').expect("several fields");
            // Also in another order, and with what a later version may add.
            let turned = format!(
                r#"{{"later":[1],{},{}}}"#,
                &text[kind + 1..text.len() - 1],
                &text[1..kind]
            );
            let added = format!(
                r#"{},"later":{{"kind":"output"}}}}"#,
                &text[..text.len() - 1]
            );
            for text in [text, turned, added] {
                let mut decoder = Decoder::default();
                let length = u32::try_from(text.len()).expect("short");
                decoder.push(&length.to_be_bytes());
                decoder.push(text.as_bytes());
                let decoded = decoder.decode_reply().expect("a reply");
                assert_eq!(decoded.as_ref(), Some(&reply), "{text}");
            }
        }
    }

    #[test]
    fn refuse_a_length_that_no_message_has() {
        let mut decoder = Decoder::default();
        decoder.push(&u32::MAX.to_be_bytes());
        assert!(matches!(
            decoder.decode::<Request>(),
            Err(CodecError::TooLong { .. })
        ));
    }

    #[test]
    fn refuse_what_is_no_message() {
        let mut decoder = Decoder::default();
        decoder.push(&4_u32.to_be_bytes());
        decoder.push(b"nope");
        assert!(matches!(
            decoder.decode::<Request>(),
            Err(CodecError::Json(_))
        ));
    }
}
