//! What the data directory has to be like.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, ensure};
use jobyard_executor::JobUser;

/// The right to write of those who do not own a directory.
const OTHERS_WRITE: u32 = 0o022;
/// Whoever may write to the directory may remove and rename nothing in it but what is theirs.
const STICKY: u32 = 0o1000;

/// Refuses what cannot become a data directory, before anything is begun.
pub(crate) fn check_kind(data: &Path) -> anyhow::Result<()> {
    ensure!(
        !data.exists() || data.is_dir(),
        "--data: {} is no directory",
        data.display()
    );
    Ok(())
}

/// Refuses a data directory in which jobs of this user could exchange the worker's files, or that they cannot get
/// through to theirs. The directory has to be there.
pub(crate) fn check_for(data: &Path, user: &JobUser) -> anyhow::Result<()> {
    let data = std::path::absolute(data)?;
    let metadata = fs::metadata(&data).with_context(|| format!("--data {}", data.display()))?;
    let is_guarded = metadata.mode() & STICKY != 0;
    ensure!(
        metadata.uid() != user.ids.uid,
        "--data: {} belongs to the user {} of the jobs, who could exchange what is in it; `chown` it to the user of the \
         worker, or take another directory",
        data.display(),
        user.name
    );
    ensure!(
        metadata.mode() & OTHERS_WRITE == 0 || is_guarded,
        "--data: others may write to {}, so jobs could exchange what is in it; `chmod go-w` it",
        data.display()
    );
    // Each job would fail with these words.
    Ok(user.check_way(&data)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn jobs_get_through_to_theirs_and_change_nothing_else() {
        let above = tempfile::tempdir().unwrap();
        let data = above.path().join("data");
        fs::create_dir(&data).unwrap();
        // Nobody on this machine is called by that number.
        let user = JobUser::find("4242424").unwrap();
        let with = |above_mode: u32, mode: u32| {
            let set = |dir: &Path, mode| {
                fs::set_permissions(dir, fs::Permissions::from_mode(mode)).unwrap();
            };
            set(above.path(), above_mode);
            set(&data, mode);
            check_for(&data, &user).map_err(|error| error.to_string())
        };
        for mode in [0o711, 0o755, 0o1777] {
            assert_eq!(with(0o711, mode), Ok(()), "{mode:o}");
        }
        for mode in [0o777, 0o731, 0o713] {
            let problem = with(0o711, mode).unwrap_err();
            assert!(problem.contains("chmod go-w"), "{mode:o}: {problem}");
        }
        let problem = with(0o711, 0o700).unwrap_err();
        assert!(problem.contains("data does not let") && problem.contains("0711"));
        let problem = with(0o750, 0o755).unwrap_err();
        assert!(problem.contains(&format!("{} does not let", above.path().display())));
        let mut owner = user.clone();
        owner.ids.uid = fs::metadata(&data).unwrap().uid();
        let problem = check_for(&data, &owner).unwrap_err().to_string();
        assert!(problem.contains("chown"), "{problem}");
    }

    #[test]
    fn a_file_is_no_data_directory() {
        assert!(check_kind(Path::new("/etc/passwd")).is_err());
        assert!(check_kind(Path::new("/etc/no such directory")).is_ok());
        assert!(check_kind(Path::new("/etc")).is_ok());
    }
}
