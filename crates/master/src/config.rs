//! What a master is made of.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use jobyard_core::{
    Authorizer, CertAuthority, Clock, ConfigError, LogStore, PROCESS_EXECUTOR, RoleAuthorizer,
    Store,
};
use jobyard_executor::ProcessConfig;
use jobyard_pki::RootPin;
use jobyard_scheduler::Policy;

use crate::engine::{Retention, Timings};

/// Looks at the configuration of an executor when a job is submitted, so that a wrong one is refused at once and not
/// on some worker later.
pub type ConfigCheck = Arc<dyn Fn(&str) -> Result<(), ConfigError> + Send + Sync>;

/// The parts of a master. Each can be brought by the host.
#[derive(Clone)]
#[non_exhaustive]
pub struct MasterConfig {
    /// What it is called.
    pub name: String,
    /// What it remembers.
    pub store: Arc<dyn Store>,
    /// Where the store is, for people; without credentials.
    pub store_name: String,
    /// Where it keeps output.
    pub logs: Arc<dyn LogStore>,
    /// Who signs for workers.
    pub authority: Arc<dyn CertAuthority>,
    /// The roots that join tokens pin.
    pub pins: Vec<RootPin>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Who may do what.
    pub authorizer: Arc<dyn Authorizer>,
    /// How patient it is.
    pub timings: Timings,
    /// What it keeps of what is over.
    pub retention: Retention,
    /// Who runs where. Its [`hash_seed`](Policy::hash_seed) is drawn anew for each term, whatever stands here.
    pub policy: Policy,
    /// Looked at when a job names one of these executors; jobs for others are checked by their workers alone.
    pub checks: BTreeMap<String, ConfigCheck>,
    /// Where it listens, for the status page.
    pub listen: Option<SocketAddr>,
}

impl MasterConfig {
    /// A master of these parts, with the built-in policy and the check of the process executor.
    pub fn new(
        name: impl Into<String>,
        store: Arc<dyn Store>,
        logs: Arc<dyn LogStore>,
        authority: Arc<dyn CertAuthority>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let process: ConfigCheck = Arc::new(|config| ProcessConfig::parse(config).map(drop));
        let pins = authority
            .trust_bundle()
            .roots
            .iter()
            .filter_map(|root| RootPin::of_certificate(root))
            .collect();
        Self {
            name: name.into(),
            store_name: format!("{store:?}"),
            store,
            logs,
            authority,
            pins,
            clock,
            authorizer: Arc::new(RoleAuthorizer),
            timings: Timings::default(),
            retention: Retention::default(),
            policy: Policy::default(),
            checks: BTreeMap::from([(PROCESS_EXECUTOR.to_owned(), process)]),
            listen: None,
        }
    }
}

impl std::fmt::Debug for MasterConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MasterConfig")
            .field("name", &self.name)
            .field("store", &self.store_name)
            .finish_non_exhaustive()
    }
}
