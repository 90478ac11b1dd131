//! Which client profile is used, and the way to the master that it names.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jobyard_core::{Caller, Control, PeerIdentity, Role};
use jobyard_pki::{ClientProfile, client_config};
use jobyard_transport::{ConnectOptions, GrpcControl};

use crate::failure::Failure;

/// What the first administrator's profile of a `dev` master is called, beneath the working directory.
const LOCAL_PROFILE: &str = ".jobyard/admin.toml";

/// Finds the profile: the one that was named, else that of the user, else that of a `dev` master in this directory.
pub(crate) fn find(named: Option<&Path>) -> Result<ClientProfile, Failure> {
    if let Some(path) = named {
        return Ok(ClientProfile::load(path)?);
    }
    let candidates = [users_profile(), Some(PathBuf::from(LOCAL_PROFILE))];
    let found = candidates.into_iter().flatten().find(|path| path.exists());
    match found {
        Some(path) => Ok(ClientProfile::load(&path)?),
        None => Err(Failure::usage("there is no client profile").with_hint(
            "start a master here with `jobyard dev`, or name the profile of yours with --profile FILE or JOBYARD_PROFILE",
        )),
    }
}

fn users_profile() -> Option<PathBuf> {
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty())?;
    Some(PathBuf::from(home).join(".config/jobyard/profile.toml"))
}

/// The way to the master of a profile, and who asks. Connects with the first call. Needs a runtime.
pub(crate) fn connect(profile: &ClientProfile) -> Result<(Arc<dyn Control>, Caller), Failure> {
    let unusable = |problem: String| Failure::jobyard("profile", problem);
    let tls = client_config(profile.credentials()).map_err(|error| unusable(error.to_string()))?;
    let endpoints = profile.masters().to_vec();
    let control = GrpcControl::new(endpoints, &tls, ConnectOptions::default())
        .map_err(|error| unusable(error.to_string()))?;
    Ok((Arc::new(control), caller(profile)))
}

/// The master reads the caller from the certificate; this is the same for our own messages.
fn caller(profile: &ClientProfile) -> Caller {
    match profile.credentials().identity() {
        PeerIdentity::Client { name, role, .. } => Caller::new(name.clone(), *role),
        _ => Caller::new("unknown", Role::Viewer),
    }
}
