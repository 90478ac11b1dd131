//! The one name in a certificate: a SPIFFE URI whose trust domain is the cluster.

use std::str::FromStr;

use jobyard_core::{ClusterId, Profile, Role, WorkerId, check_name};

/// Who a certificate is for, as its URI says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// `spiffe://CLUSTER/master`
    Master,
    /// `spiffe://CLUSTER/worker/ID`
    Worker(WorkerId),
    /// `spiffe://CLUSTER/client/ROLE/NAME`
    Client { role: Role, name: String },
}

/// A cluster and somebody in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SpiffeName {
    pub(crate) cluster: ClusterId,
    pub(crate) holder: Holder,
}

impl SpiffeName {
    /// The name that a profile asks for; `None` if the client's name is not a valid one, or if the profile is
    /// of a kind that this crate does not know.
    pub(crate) fn of_profile(cluster: ClusterId, profile: &Profile) -> Option<Self> {
        let holder = match profile {
            Profile::Master => Holder::Master,
            Profile::Worker { id } => Holder::Worker(*id),
            Profile::Client { name, role } if check_name(name).is_ok() => Holder::Client {
                role: *role,
                name: name.clone(),
            },
            _ => return None,
        };
        Some(Self { cluster, holder })
    }

    /// The URI.
    pub(crate) fn to_uri(&self) -> String {
        let cluster = self.cluster;
        match &self.holder {
            Holder::Master => format!("{}/master", cluster_uri(cluster)),
            Holder::Worker(id) => format!("{}/worker/{id}", cluster_uri(cluster)),
            Holder::Client { role, name } => {
                format!("{}/client/{}/{name}", cluster_uri(cluster), role.as_str())
            }
        }
    }

    /// `None` unless the text is exactly what [`to_uri`](Self::to_uri) writes for somebody.
    pub(crate) fn parse(uri: &str) -> Option<Self> {
        let (cluster, path) = uri.strip_prefix("spiffe://")?.split_once('/')?;
        let parts: Vec<&str> = path.splitn(4, '/').collect();
        let holder = match parts[..] {
            ["master"] => Holder::Master,
            ["worker", id] => Holder::Worker(id.parse().ok()?),
            ["client", role, name] if check_name(name).is_ok() => Holder::Client {
                role: Role::from_str(role).ok()?,
                name: name.to_owned(),
            },
            _ => return None,
        };
        let name = Self {
            cluster: cluster.parse().ok()?,
            holder,
        };
        // A UUID has several spellings; only the one that we write counts.
        (name.to_uri() == uri).then_some(name)
    }
}

/// The URI of the cluster itself, which its root carries.
pub(crate) fn cluster_uri(cluster: ClusterId) -> String {
    format!("spiffe://{cluster}")
}

/// The cluster that a root speaks for.
pub(crate) fn parse_cluster_uri(uri: &str) -> Option<ClusterId> {
    let cluster = uri.strip_prefix("spiffe://")?.parse().ok()?;
    (cluster_uri(cluster) == uri).then_some(cluster)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const CLUSTER: ClusterId = ClusterId::from_uuid(Uuid::from_u128(0xabc));

    #[test]
    fn names_read_back_as_written() {
        let holders = [
            Holder::Master,
            Holder::Worker(WorkerId::from_uuid(Uuid::from_u128(7))),
            Holder::Client {
                role: Role::Operator,
                name: "ci.bot_1-x".to_owned(),
            },
        ];
        for holder in holders {
            let name = SpiffeName {
                cluster: CLUSTER,
                holder,
            };
            assert_eq!(SpiffeName::parse(&name.to_uri()), Some(name));
        }
    }

    #[test]
    fn refuse_names_of_any_other_form() {
        let refused = [
            "spiffe://CLUSTER",
            "spiffe://CLUSTER/",
            "spiffe://CLUSTER/master/",
            "spiffe://CLUSTER/Master",
            "spiffe://CLUSTER/worker",
            "spiffe://CLUSTER/worker/x",
            "spiffe://CLUSTER/worker/00000000000000000000000000000007",
            "spiffe://CLUSTER/client/root/x",
            "spiffe://CLUSTER/client/Admin/x",
            "spiffe://CLUSTER/client/admin/",
            "spiffe://CLUSTER/client/admin/a/b",
            "spiffe://CLUSTER/client/admin/a%2fb",
            "SPIFFE://CLUSTER/master",
            "https://CLUSTER/master",
            " spiffe://CLUSTER/master",
            "spiffe://CLUSTER:1/master",
        ];
        for text in refused {
            let uri = text.replace("CLUSTER", &CLUSTER.to_string());
            assert_eq!(SpiffeName::parse(&uri), None, "{uri}");
        }
        assert_eq!(
            SpiffeName::parse("spiffe://00000000-0000-0000-0000-000000000ABC/master"),
            None
        );
    }

    #[test]
    fn xe16_refuse_client_names_that_need_escaping() {
        let long = "x".repeat(65);
        for name in [
            "",
            "..",
            "../x",
            "a b",
            "a\0",
            "\u{202e}x",
            "a\x1b[2J",
            "é",
            &long,
        ] {
            let profile = Profile::Client {
                name: name.to_owned(),
                role: Role::Viewer,
            };
            assert_eq!(SpiffeName::of_profile(CLUSTER, &profile), None, "{name:?}");
        }
        let profile = Profile::Client {
            name: "x".repeat(64),
            role: Role::Viewer,
        };
        assert!(SpiffeName::of_profile(CLUSTER, &profile).is_some());
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in ".*") {
            let _ = SpiffeName::parse(&text);
            let _ = parse_cluster_uri(&text);
            let _ = SpiffeName::parse(&format!("spiffe://{CLUSTER}/{text}"));
        }
    }
}
