//! The words of the user about who may enter: `public`, `upstream_auth` and `admits(..)`.

use crate::{
    handler::{Request, Response},
    middleware::{About, Declares, IntoLayer, Layer, Middleware, Next, Role, role},
};

/// Lets anybody in, on purpose: the word `public`.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Public;

/// Lets anybody in on purpose. Under `require auth` it covers a route.
#[allow(non_upper_case_globals, reason = "it is a word of the language")]
pub const public: Public = Public;

impl Middleware for Public {
    async fn handle(&self, req: Request, next: Next) -> Response {
        next.run(req).await
    }

    fn about(&self, about: &mut About) {
        about.role(Role::Public);
    }
}

impl Declares for Public {
    type Role = role::Public;
}

/// The target decides who may enter: the word `upstream_auth`.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct UpstreamAuth;

/// The target decides by itself who may enter. Under `require auth` it covers a route.
#[allow(non_upper_case_globals, reason = "it is a word of the language")]
pub const upstream_auth: UpstreamAuth = UpstreamAuth;

impl Middleware for UpstreamAuth {
    async fn handle(&self, req: Request, next: Next) -> Response {
        next.run(req).await
    }

    fn about(&self, about: &mut About) {
        about.role(Role::Admits);
    }
}

impl Declares for UpstreamAuth {
    type Role = role::Admits;
}

/// Whether a layer is one of the words that do nothing to a request, so that a gateway can leave it out.
pub(crate) fn is_word(layer: &Layer) -> bool {
    layer.is::<Public>() || layer.is::<UpstreamAuth>()
}

/// A layer of which the user says that it turns callers away: see [`admits`].
#[derive(Clone, Debug)]
pub struct Admits(Layer);

/// The user's word that this layer turns callers away who have not proved who they are. It is for layers whose types do not say
/// so: a function, a layer of tower's.
///
/// A function that knows who the caller is may put a [`Principal`](crate::Principal) into the extensions of the request, for the
/// layers behind it.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::{auth::*, *}; } pub mod middleware { pub use prox_runtime::{auth::*, middleware::*}; } }
/// use prox::{IntoResponse, Next, Principal, Request, Response, dsl::admits};
///
/// async fn check_session(mut req: Request, next: Next) -> Response {
///     if req.headers().get("cookie").is_none() {
///         return http::StatusCode::UNAUTHORIZED.into_response();
///     }
///     req.extensions_mut().insert(Principal::new("session", "ada"));
///     next.run(req).await
/// }
///
/// let layer = admits(check_session);
/// ```
pub fn admits<M, L: IntoLayer<M>>(layer: L) -> Admits
where
    L::Shared: Send + Sync,
    L::Service: Send + Sync,
    L::Runs: Send,
{
    Admits(layer.into_layer())
}

/// Marks a layer behind the word `admits`.
#[derive(Debug)]
pub struct Admitting;

#[diagnostic::do_not_recommend]
impl IntoLayer<Admitting> for Admits {
    type Shared = ();
    type Service = ();
    type Runs = ();

    fn into_layer(self) -> Layer {
        self.0.with_role(Role::Authenticates)
    }
}

impl Declares for Admits {
    type Role = role::Authenticates;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        body::Body,
        handler::{BoxHandler, handler},
    };

    #[tokio::test]
    async fn the_words_do_nothing_to_a_request() {
        for layer in [public.into_layer(), upstream_auth.into_layer()] {
            let chain = layer.wrap(BoxHandler::new(handler(|_| async { "inside" })));
            assert_eq!(chain.call(Request::new(Body::empty())).await.status(), 200);
        }
    }

    #[test]
    fn a_word_is_known_by_its_type_alone() {
        /// Says of itself what `public` says.
        struct Pretends;

        impl Middleware for Pretends {
            async fn handle(&self, _: Request, _: Next) -> Response {
                Response::new(Body::empty())
            }

            fn about(&self, about: &mut About) {
                public.about(about);
            }
        }
        for word in [public.into_layer(), upstream_auth.into_layer()] {
            assert!(is_word(&word) && is_word(&word.with_role(Role::Public)));
        }
        for other in [
            Pretends.into_layer(),
            admits(Pretends).into_layer(),
            Pretends.into_layer().with_role(Role::Public),
            tower::layer::util::Identity::new().into_layer(),
        ] {
            assert!(!is_word(&other));
        }
    }

    #[tokio::test]
    async fn a_layer_that_admits_is_asked_and_keeps_what_it_says_of_itself() {
        struct Wrong;

        impl Middleware for Wrong {
            async fn handle(&self, _: Request, _: Next) -> Response {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = http::StatusCode::IM_A_TEAPOT;
                response
            }

            fn about(&self, about: &mut About) {
                about.problem("`Wrong` is wrong").role(Role::Plain);
            }
        }
        let layer = admits(Wrong).into_layer();
        assert_eq!(layer.about().the_role(), Role::Authenticates);
        assert_eq!(layer.about().problems(), ["`Wrong` is wrong"]);
        let chain = layer.wrap(BoxHandler::new(handler(|_| async { "inside" })));
        assert_eq!(chain.call(Request::new(Body::empty())).await.status(), 418);
    }
}
