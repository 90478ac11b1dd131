//! Users of the system.

use std::io;
use std::path::{Path, PathBuf};

use jobyard_launcher::protocol::User;

/// A user of the system, as whom jobs can run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobUser {
    /// What it is called; the number as text where it has no name.
    pub name: String,
    /// Its home directory.
    pub home: PathBuf,
    /// Its number and those of its groups.
    pub ids: User,
}

impl JobUser {
    /// Looks a user up in `/etc/passwd` and `/etc/group`, and nowhere else: users of a directory service have to be
    /// named by their number. A number without an entry is a user without groups but that of the same number, whose
    /// home is `/`. Reads two files.
    pub fn find(name_or_number: &str) -> Result<Self, FindUserError> {
        Self::find_in(Path::new("/etc"), name_or_number)
    }

    /// Whether this user gets through to a directory: all above it, and itself, have to let it. Directories that are not
    /// there are left out. Asks the file system once for each.
    #[cfg(unix)]
    pub fn check_way(&self, dir: &Path) -> Result<(), ClosedWayError> {
        use std::os::unix::fs::MetadataExt as _;

        for dir in dir.ancestors() {
            let Ok(metadata) = std::fs::metadata(dir) else {
                continue;
            };
            let in_group =
                metadata.gid() == self.ids.gid || self.ids.groups.contains(&metadata.gid());
            let needed = match (metadata.uid() == self.ids.uid, in_group) {
                (true, _) => 0o100,
                (false, true) => 0o010,
                (false, false) => 0o001,
            };
            if self.ids.uid != 0 && metadata.mode() & needed == 0 {
                return Err(ClosedWayError {
                    dir: dir.to_owned(),
                    user: self.name.clone(),
                });
            }
        }
        Ok(())
    }

    fn find_in(etc: &Path, wanted: &str) -> Result<Self, FindUserError> {
        let read = |name: &str| {
            let path = etc.join(name);
            std::fs::read_to_string(&path).map_err(|source| FindUserError::Read { path, source })
        };
        let number: Option<u32> = wanted.parse().ok();
        let passwd = read("passwd")?;
        let entry = passwd
            .lines()
            .filter_map(Entry::parse)
            .find(|entry| number.map_or(entry.name == wanted, |number| entry.uid == number));
        match (entry, number) {
            (Some(entry), _) => Ok(Self {
                name: entry.name.to_owned(),
                home: PathBuf::from(entry.home),
                ids: User::new(entry.uid, entry.gid, groups(&read("group")?, &entry)),
            }),
            // The system's word for "no user": it changes nothing.
            (None, Some(number)) if number != u32::MAX => Ok(Self {
                name: wanted.to_owned(),
                home: PathBuf::from("/"),
                ids: User::new(number, number, Vec::new()),
            }),
            _ => Err(FindUserError::Unknown {
                name: wanted.to_owned(),
            }),
        }
    }
}

/// A directory is closed to the user of jobs. The operator's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the directory {} does not let the user {user} through to the directories of its jobs; give it the mode 0711",
    dir.display()
)]
#[non_exhaustive]
pub struct ClosedWayError {
    /// The directory.
    pub dir: PathBuf,
    /// What the user is called.
    pub user: String,
}

/// Why a user was not found. The operator's fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FindUserError {
    /// There is no such user.
    #[error(
        "{path} knows no user {name:?}; users from elsewhere are named by their number",
        path = "/etc/passwd"
    )]
    Unknown {
        /// Who was looked for.
        name: String,
    },
    /// The list of users cannot be read.
    #[error("{path} cannot be read: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// A line of `/etc/passwd`, see passwd(5).
struct Entry<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

impl<'a> Entry<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, _, home, ..] = fields[..] else {
            return None;
        };
        Some(Self {
            name,
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
            home,
        })
    }
}

/// The groups that name the user as a member, beside its own; see group(5).
fn groups(group: &str, user: &Entry<'_>) -> Vec<u32> {
    group
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let [_, _, gid, members] = fields[..] else {
                return None;
            };
            let is_member = members.split(',').any(|member| member == user.name);
            is_member.then(|| gid.parse().ok()).flatten()
        })
        .filter(|gid| *gid != user.gid)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn etc() -> tempfile::TempDir {
        let etc = tempfile::tempdir().expect("a directory");
        std::fs::write(
            etc.path().join("passwd"),
            "root:x:0:0:root:/root:/bin/sh\n# odd\nci:x:1001:1002:,,,:/home/ci:/bin/sh\n",
        )
        .expect("written");
        std::fs::write(
            etc.path().join("group"),
            "root:x:0:\nci:x:1002:\ndocker:x:900:other,ci\nusers:x:100:cia\n",
        )
        .expect("written");
        etc
    }

    #[test]
    fn user_is_found_by_name_and_by_number() {
        let etc = etc();
        let ci = JobUser::find_in(etc.path(), "ci").expect("listed");
        assert_eq!(ci.ids, User::new(1001, 1002, vec![900]));
        assert_eq!(ci.home, Path::new("/home/ci"));
        assert_eq!(JobUser::find_in(etc.path(), "1001").ok(), Some(ci));
    }

    #[test]
    fn number_without_an_entry_is_a_user_all_the_same() {
        let user = JobUser::find_in(etc().path(), "4711").expect("a number");
        assert_eq!(user.ids, User::new(4711, 4711, Vec::new()));
    }

    #[test]
    fn refuse_unknown_names_and_the_number_of_nobody_at_all() {
        for name in ["nobody-here", "", "4294967295", "-1"] {
            let found = JobUser::find_in(etc().path(), name);
            assert!(
                matches!(found, Err(FindUserError::Unknown { .. })),
                "{name}"
            );
        }
    }
}
