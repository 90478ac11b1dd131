//! Facts as tags.

use std::path::Path;
use std::sync::Arc;

use jobyard_core::{Containment, Executor, Tag, TagSet, WorkerFacts};

/// The tools that are looked for.
pub const KNOWN_TOOLS: &[&str] = &[
    "ansible",
    "bash",
    "bazel",
    "buildah",
    "bun",
    "bundle",
    "cargo",
    "ccache",
    "clang",
    "cmake",
    "composer",
    "curl",
    "deno",
    "docker",
    "dotnet",
    "gcc",
    "gh",
    "git",
    "git-lfs",
    "go",
    "gradle",
    "helm",
    "java",
    "jq",
    "just",
    "kubectl",
    "make",
    "meson",
    "mvn",
    "ninja",
    "nix",
    "node",
    "npm",
    "perl",
    "php",
    "pip3",
    "pnpm",
    "podman",
    "psql",
    "pwsh",
    "python3",
    "rsync",
    "ruby",
    "rustc",
    "rustup",
    "sccache",
    "sqlite3",
    "ssh",
    "swift",
    "tar",
    "terraform",
    "tofu",
    "unzip",
    "uv",
    "yarn",
    "zig",
    "zip",
    "zstd",
];

/// The tags of a machine whose jobs find programs on this `path`.
pub fn auto_tags(facts: &WorkerFacts, path: &str, executors: &[Arc<dyn Executor>]) -> TagSet {
    let mut tags = TagSet::new();
    let mut add = |key: &str, value: &str| {
        // A few dozen tags of known form: a value that is empty is left out, everything else fits.
        if let Ok(tag) = Tag::with_value(key, &printable(value)) {
            let _ = tags.insert(tag);
        }
    };
    add("os", &facts.os);
    add("arch", &facts.arch);
    add("cores", &facts.cores.to_string());
    add("host", &facts.host);
    if facts.memory_bytes > 0 {
        add("mem", &memory(facts.memory_bytes));
    }
    for tool in KNOWN_TOOLS.iter().filter(|tool| is_on_path(tool, path)) {
        add("has", tool);
    }
    if let Some(containment) = strongest(executors) {
        add("containment", containment.as_str());
    }
    tags
}

/// How well the best of those executors that start processes holds them. The others have nothing to hold.
fn strongest(executors: &[Arc<dyn Executor>]) -> Option<Containment> {
    let facts = executors.iter().map(|executor| executor.facts());
    facts
        .filter(|facts| facts.capabilities.process_tree)
        .map(|facts| facts.containment)
        .max()
}

/// In the largest unit that divides it, so that every comparison comes out as it would with the number itself.
fn memory(bytes: u64) -> String {
    let units = [("tib", 40), ("gib", 30), ("mib", 20), ("kib", 10)];
    let exact = units
        .into_iter()
        .find(|(_, power)| bytes.is_multiple_of(1 << power));
    match exact {
        Some((unit, power)) => format!("{}{unit}", bytes >> power),
        None => format!("{bytes}b"),
    }
}

/// Only what a tag's value may hold.
fn printable(value: &str) -> String {
    let fits = |c: char| c.is_ascii_graphic() && !matches!(c, '|' | ',');
    value
        .chars()
        .map(|c| if fits(c) { c } else { '-' })
        .collect()
}

fn is_on_path(tool: &str, path: &str) -> bool {
    path.split(':')
        .filter(|dir| dir.starts_with('/'))
        .any(|dir| is_program(&Path::new(dir).join(tool)))
}

#[cfg(unix)]
fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;

    std::fs::metadata(file)
        .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(file: &Path) -> bool {
    file.is_file()
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use jobyard_core::{
        AttemptContext, Capabilities, ConfigError, Execution, ExecutionTrace, ExecutorFacts, Gone,
        Output, Quantity, Requirement, StartError,
    };

    use super::*;

    fn facts() -> WorkerFacts {
        let mut facts = WorkerFacts::default();
        facts.host = "Build Host|7".to_owned();
        facts.os = "linux".to_owned();
        facts.arch = "x86_64".to_owned();
        facts.cores = 8;
        facts.memory_bytes = 24_682_416 << 10;
        facts
    }

    #[test]
    fn facts_become_tags_that_jobs_can_ask_for() {
        let tags = auto_tags(&facts(), "", &[]);
        let tags: Vec<String> = tags.iter().map(|tag| tag.to_string()).collect();
        assert_eq!(
            tags,
            [
                "arch=x86_64",
                "cores=8",
                "host=build-host-7",
                "mem=24682416kib",
                "os=linux"
            ]
        );
    }

    #[test]
    fn processors_and_memory_compare_as_numbers() {
        let offers = |bytes: u64, requirement: &str| {
            let mut facts = facts();
            facts.memory_bytes = bytes;
            let requirement: Requirement = requirement.parse().unwrap();
            requirement.is_met_by(&auto_tags(&facts, "", &[]))
        };
        let gib = 1 << 30;
        assert!(offers(gib, "cores>=8") && !offers(gib, "cores>8") && offers(gib, "cores<10"));
        assert!(offers(64 * gib, "mem>=64GiB") && !offers(64 * gib, "mem<64GiB"));
        let less = (64 * gib) - 4096;
        assert!(offers(less, "mem<64GiB") && !offers(less, "mem>=64GiB"));
        assert!(offers(less, "mem>63.99GiB") && offers(less, "mem>=64000MiB"));
        assert!(offers((64 * gib) + 1, "mem>64GiB"));
    }

    #[test]
    fn memory_is_written_in_the_largest_unit_that_is_exact() {
        assert_eq!(memory(16 << 30), "16gib");
        assert_eq!(memory(3 << 29), "1536mib");
        assert_eq!(memory((16 << 30) + 4096), "16777220kib");
        assert_eq!(memory((1 << 40) + 1), "1099511627777b");
        for bytes in [1, 4096, (16 << 30) + 4096, (1 << 49) - 1] {
            let read: Quantity = memory(bytes).parse().unwrap();
            assert_eq!(read.whole(), u128::from(bytes));
        }
    }

    /// An executor that is only asked what it is.
    #[derive(Debug)]
    struct Kind(Containment, Capabilities);

    #[async_trait]
    impl Executor for Kind {
        fn facts(&self) -> ExecutorFacts {
            ExecutorFacts::new("kind", self.0, self.1)
        }

        fn check(&self, _: &str) -> Result<(), ConfigError> {
            panic!("it is only asked what it is")
        }

        async fn start(
            &self,
            _: AttemptContext,
            _: Output,
        ) -> Result<Box<dyn Execution>, StartError> {
            panic!("it is only asked what it is")
        }

        async fn adopt(
            &self,
            _: AttemptContext,
            _: Option<ExecutionTrace>,
            _: Output,
        ) -> Result<Box<dyn Execution>, Gone> {
            panic!("it is only asked what it is")
        }
    }

    #[test]
    fn the_strongest_containment_of_processes_is_offered() {
        let processes = Capabilities::NONE.with_process_tree();
        let tag = |kinds: &[(Containment, Capabilities)]| {
            let executors: Vec<Arc<dyn Executor>> = kinds
                .iter()
                .map(|(containment, capabilities)| Arc::new(Kind(*containment, *capabilities)) as _)
                .collect();
            let tags = auto_tags(&facts(), "", &executors);
            tags.values("containment")
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let weak = (Containment::BestEffort, processes);
        let function = (Containment::None, Capabilities::NONE);
        assert_eq!(
            tag(&[weak, (Containment::Hard, processes), function]),
            ["hard"]
        );
        assert_eq!(
            tag(&[(Containment::Namespace, processes), weak]),
            ["namespace"]
        );
        assert_eq!(tag(&[weak, function]), ["best-effort"]);
        assert!(tag(&[function]).is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn tools_are_looked_for_where_jobs_find_them() {
        use std::os::unix::fs::PermissionsExt;

        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("git"), "").unwrap();
        std::fs::write(dir.path().join("cargo"), "").unwrap();
        let program = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(dir.path().join("cargo"), program).unwrap();
        let path = format!("relative:{}", dir.path().display());
        let tags = auto_tags(&facts(), &path, &[]);
        assert_eq!(tags.values("has").collect::<Vec<_>>(), ["cargo"]);
    }
}
