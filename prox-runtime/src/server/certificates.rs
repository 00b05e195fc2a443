//! The ends of the certificates of a server, as metrics show them.

use std::sync::{Arc, Weak};

use super::listener::Line;
use crate::{
    metrics::{CERTIFICATE_EXPIRY, Measured, Samples},
    tls::Termination,
};

/// The certificates that the listeners of a server show to clients, as long as it runs.
#[derive(Debug)]
pub(super) struct Certificates(Vec<Weak<Termination>>);

impl Certificates {
    pub(super) fn of(lines: &[Line]) -> Arc<dyn Measured> {
        let all = lines.iter().filter_map(|line| line.options.tls.as_ref());
        Arc::new(Self(all.map(Arc::downgrade).collect()))
    }
}

impl Measured for Certificates {
    fn measure(&self, samples: &mut Samples) {
        for tls in self.0.iter().filter_map(Weak::upgrade) {
            tls.each_end(|name, seconds| {
                samples.least(&CERTIFICATE_EXPIRY, &[("name", name)], seconds);
            });
        }
    }
}
