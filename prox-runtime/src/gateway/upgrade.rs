//! Tunnels through a gateway that somebody else serves.

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use crate::{
    handler::{Request, Response},
    stream::Stream,
    tunnel::{Switchable, Switched, Tunnel},
};

/// How the client's connection can be had once the response is written.
pub(super) enum Joint {
    /// Not at all, or by a server of ours around this gateway.
    None,
    /// Through hyper.
    Hyper(OnUpgrade),
}

impl Joint {
    pub(super) fn of(req: &mut Request) -> Self {
        let extensions = req.extensions_mut();
        match extensions.remove::<OnUpgrade>() {
            Some(upgrade) => {
                extensions.insert(Switchable);
                Self::Hyper(upgrade)
            }
            None => Self::None,
        }
    }

    /// Joins the client with the upstream, once the server has written the `101`.
    pub(super) fn join(self, response: &mut Response) {
        let Self::Hyper(upgrade) = self else { return };
        let switched = response.extensions_mut().remove::<Switched>();
        if let Some(tunnel) = switched.and_then(|switched| switched.take()) {
            tokio::spawn(carry(tunnel, upgrade));
        }
    }
}

/// Ends with either side, or when nothing moves for too long.
async fn carry(tunnel: Tunnel, upgrade: OnUpgrade) {
    match upgrade.await {
        Ok(client) => {
            tunnel.join(Stream::boxed(TokioIo::new(client))).await;
        }
        Err(error) => {
            tracing::debug!(target: "prox", %error, "a client left before its tunnel began");
        }
    }
}
