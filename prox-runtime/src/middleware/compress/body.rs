//! A body that is compressed while it passes.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
};

use async_compression::{
    Level,
    tokio::bufread::{BrotliEncoder, GzipEncoder, ZstdEncoder},
};
use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame};
use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};

use super::coding::Coding;
use crate::{
    body::Body,
    error::{Error, Failure, Place},
    sync::lock,
};

/// How many compressed bytes are handed on at once, at most.
const PIECE: usize = 16 * 1024;

/// Levels that keep up with a network. The highest of brotli takes a hundred times as long.
const ZSTD: i32 = 3;
const BROTLI: i32 = 4;
const GZIP: i32 = 6;

pub(super) struct Compressed {
    encoder: Pin<Box<dyn AsyncRead + Send>>,
    /// The trailers of the body, once all of it is read.
    trailers: Arc<Mutex<Option<HeaderMap>>>,
    piece: Box<[u8]>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Data,
    Trailers,
    Over,
}

impl Compressed {
    pub(super) fn new(body: Body, coding: Coding) -> Self {
        let trailers = Arc::<Mutex<Option<HeaderMap>>>::default();
        let source = Source {
            body,
            piece: Bytes::new(),
            over: false,
            trailers: Arc::clone(&trailers),
        };
        let encoder: Pin<Box<dyn AsyncRead + Send>> = match coding {
            Coding::Zstd => Box::pin(ZstdEncoder::with_quality(source, Level::Precise(ZSTD))),
            Coding::Brotli => Box::pin(BrotliEncoder::with_quality(source, Level::Precise(BROTLI))),
            Coding::Gzip => Box::pin(GzipEncoder::with_quality(source, Level::Precise(GZIP))),
        };
        Self {
            encoder,
            trailers,
            piece: vec![0; PIECE].into(),
            state: State::Data,
        }
    }
}

impl HttpBody for Compressed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if this.state == State::Data {
            let mut read = ReadBuf::new(&mut this.piece);
            match ready!(this.encoder.as_mut().poll_read(cx, &mut read)) {
                Ok(()) if read.filled().is_empty() => this.state = State::Trailers,
                Ok(()) => {
                    let data = Bytes::copy_from_slice(read.filled());
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Err(error) => {
                    this.state = State::Over;
                    let error = error
                        .downcast::<Error>()
                        .unwrap_or_else(|error| Error::caused(Failure::Internal, error));
                    return Poll::Ready(Some(Err(error.at(Place::Response))));
                }
            }
        }
        if this.state == State::Trailers {
            this.state = State::Over;
            if let Some(trailers) = lock(&this.trailers).take() {
                return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.state == State::Over
    }
}

/// The body as a reader. It is not asked again after its end.
struct Source {
    body: Body,
    piece: Bytes,
    over: bool,
    trailers: Arc<Mutex<Option<HeaderMap>>>,
}

impl AsyncBufRead for Source {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        while this.piece.is_empty() && !this.over {
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                None => this.over = true,
                Some(Err(error)) => {
                    this.over = true;
                    return Poll::Ready(Err(io::Error::other(error)));
                }
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.piece = data,
                    Err(frame) => {
                        if let Ok(trailers) = frame.into_trailers() {
                            *lock(&this.trailers) = Some(trailers);
                        }
                    }
                },
            }
        }
        Poll::Ready(Ok(&this.piece))
    }

    fn consume(mut self: Pin<&mut Self>, amount: usize) {
        let amount = amount.min(self.piece.len());
        self.piece.advance(amount);
    }
}

impl AsyncRead for Source {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let piece = ready!(self.as_mut().poll_fill_buf(cx))?;
        let amount = piece.len().min(buf.remaining());
        buf.put_slice(piece.get(..amount).unwrap_or_default());
        self.consume(amount);
        Poll::Ready(Ok(()))
    }
}
