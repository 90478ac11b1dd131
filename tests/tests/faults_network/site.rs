//! A site whose workers reach the master through a network of the test.

use std::ops::{Deref, DerefMut};

use jobyard_tests::{PATIENCE, Program, Proxy};

/// As another site, but for the way of its workers.
pub(crate) struct Site {
    /// Between the workers and the master.
    pub(crate) proxy: Proxy,
    site: jobyard_tests::Site,
}

impl Site {
    /// A master with these options.
    pub(crate) fn with(options: &[&str]) -> Self {
        let site = jobyard_tests::Site::with(options);
        Self {
            proxy: Proxy::to(site.cluster.address()),
            site,
        }
    }

    /// A master that is not patient.
    pub(crate) fn impatient() -> Self {
        Self::with(&PATIENCE)
    }

    /// A worker behind the network.
    pub(crate) fn worker(&self, name: &str, options: &[&str]) -> Program {
        self.cluster
            .worker_at(&self.proxy.address(), name, &self.token, options)
    }
}

impl Deref for Site {
    type Target = jobyard_tests::Site;

    fn deref(&self) -> &Self::Target {
        &self.site
    }
}

impl DerefMut for Site {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.site
    }
}

/// That it was connected once, and has not been without a session since.
pub(crate) fn assert_one_session(worker: &mut Program) {
    let log = worker.log();
    assert_eq!(log.matches("is connected").count(), 1, "{log}");
    assert!(!log.contains("is over"), "{log}");
    assert!(!log.contains("is given up"), "{log}");
}
