//! The body of a response that is stored while a client reads it.
//!
//! A task of its own reads it from the upstream, up to the size of a stored response, so that a client that reads slowly holds up no
//! other. The client gets what has come so far. When the body is too long to be stored, the client reads the rest from the upstream.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::{sync::oneshot, time::timeout};

use super::store::Held;
use crate::{
    body::Body,
    error::{Error, Failure},
    sync::lock,
};

/// How long a body is still read for the store after its client has left.
const ALONE: Duration = Duration::from_secs(5);

/// What has come of a body.
#[derive(Debug, Default)]
struct Growing {
    pieces: Vec<Bytes>,
    end: Option<End>,
    reader: Option<Waker>,
}

#[derive(Debug)]
enum End {
    /// All of it.
    Whole(Bytes),
    /// It is not stored: a frame, and what is left.
    Rest(Frame<Bytes>, Body, Why),
    Failed(Error),
    /// It was read by the client.
    Read,
}

/// Why a body is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// It is too long, or has trailers: the next one will be as well.
    Unfit,
    /// There is no memory for it now, or it broke off.
    Now,
}

type Shared = Arc<Mutex<Growing>>;

/// Begins to read a body. The first one is for the client; the other is done when all has come, or when it is known that the body is
/// not stored.
pub(crate) fn collect(
    body: Body,
    most: usize,
    held: Held,
) -> (
    Body,
    impl Future<Output = Result<Bytes, Why>> + Send + 'static,
) {
    let shared = Shared::default();
    let (here, left) = oneshot::channel();
    let reader = Reader {
        _here: here,
        shared: Arc::clone(&shared),
        hint: body.size_hint(),
        place: 0,
        read: 0,
        rest: None,
    };
    (Body::boxed(reader), write(body, most, held, shared, left))
}

/// Reads a body until its end, or for a while after the client has `left`.
async fn write(
    body: Body,
    most: usize,
    held: Held,
    shared: Shared,
    left: oneshot::Receiver<Infallible>,
) -> Result<Bytes, Why> {
    let writer = Writer(Arc::clone(&shared));
    let (mut reading, mut left) = (pin!(read(body, most, held, &shared)), pin!(left));
    let first = poll_fn(|cx| match reading.as_mut().poll(cx) {
        Poll::Ready(end) => Poll::Ready(Some(end)),
        Poll::Pending => left.as_mut().poll(cx).map(|_| None),
    })
    .await;
    let end = match first {
        Some(end) => end,
        None => timeout(ALONE, reading).await.map_err(|_| Why::Now)?,
    };
    let whole = match &end {
        End::Whole(bytes) => Ok(bytes.clone()),
        End::Rest(.., why) => Err(*why),
        End::Failed(_) | End::Read => Err(Why::Now),
    };
    writer.end(end);
    whole
}

/// The end of the task that reads. If it is dropped, such as by a panic of the body, the client's body fails.
struct Writer(Shared);

impl Writer {
    fn end(&self, end: End) {
        let mut growing = lock(&self.0);
        if growing.end.is_some() {
            return;
        }
        if matches!(end, End::Whole(_)) {
            growing.pieces = Vec::new();
        }
        growing.end = Some(end);
        let reader = growing.reader.take();
        drop(growing);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.end(End::Failed(Error::failure(Failure::Internal)));
    }
}

/// Reads a body up to `most` bytes.
async fn read(mut body: Body, most: usize, mut held: Held, shared: &Shared) -> End {
    let mut length = 0;
    loop {
        let frame = match body.frame().await {
            None => break,
            Some(Err(error)) => return End::Failed(error),
            Some(Ok(frame)) => frame,
        };
        let Some(data) = frame.data_ref() else {
            // Trailers are not stored, and so neither is what they belong to.
            return End::Rest(frame, body, Why::Unfit);
        };
        length += data.len();
        if length > most {
            return End::Rest(frame, body, Why::Unfit);
        }
        // Small pieces cost more than what is in them.
        if !held.grow(data.len() + size_of::<Bytes>()) {
            return End::Rest(frame, body, Why::Now);
        }
        let mut growing = lock(shared);
        growing.pieces.push(data.clone());
        let waker = growing.reader.take();
        drop(growing);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
    let mut whole = Vec::with_capacity(length);
    for piece in &lock(shared).pieces {
        whole.extend_from_slice(piece);
    }
    End::Whole(held.keep(whole))
}

struct Reader {
    /// Its end tells the task that the client has left.
    _here: oneshot::Sender<Infallible>,
    shared: Shared,
    hint: SizeHint,
    /// How many pieces were read, and how many bytes.
    place: usize,
    read: usize,
    rest: Option<Body>,
}

impl HttpBody for Reader {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if let Some(rest) = &mut this.rest {
            return Pin::new(rest).poll_frame(cx);
        }
        let mut growing = lock(&this.shared);
        if let Some(piece) = growing.pieces.get(this.place) {
            this.place += 1;
            this.read += piece.len();
            return Poll::Ready(Some(Ok(Frame::data(piece.clone()))));
        }
        match growing.end.take() {
            None => {
                growing.reader = Some(cx.waker().clone());
                Poll::Pending
            }
            Some(End::Whole(bytes)) => {
                growing.end = Some(End::Read);
                let left = bytes.slice(this.read.min(bytes.len())..);
                this.read = bytes.len();
                Poll::Ready((!left.is_empty()).then(|| Ok(Frame::data(left))))
            }
            Some(End::Rest(frame, body, _)) => {
                growing.end = Some(End::Read);
                drop(growing);
                this.rest = Some(body);
                Poll::Ready(Some(Ok(frame)))
            }
            Some(End::Failed(error)) => {
                growing.end = Some(End::Read);
                Poll::Ready(Some(Err(error)))
            }
            Some(End::Read) => {
                growing.end = Some(End::Read);
                Poll::Ready(None)
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        if let Some(rest) = &self.rest {
            return rest.size_hint();
        }
        let read = self.read as u64;
        let mut hint = SizeHint::new();
        if let Some(upper) = self.hint.upper() {
            hint.set_upper(upper.saturating_sub(read));
        }
        hint.set_lower(
            self.hint
                .lower()
                .saturating_sub(read)
                .min(hint.upper().unwrap_or(u64::MAX)),
        );
        hint
    }
}
