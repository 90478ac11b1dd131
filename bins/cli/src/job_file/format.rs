//! The forms that a job file may have.

use std::path::Path;

/// How a job file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// TOML: one job, or an array of tables `jobs`.
    Toml,
    /// YAML: one job, a list, or a map with `jobs`.
    Yaml,
    /// JSON: one job, a list, an object with `jobs`, or one job a line.
    Json,
}

impl Format {
    /// By the extension of the file, or else by its first significant line.
    pub(crate) fn of(path: Option<&Path>, text: &str) -> Self {
        let extension = path
            .and_then(Path::extension)
            .and_then(|name| name.to_str());
        match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("toml") => Self::Toml,
            Some("yaml" | "yml") => Self::Yaml,
            Some("json" | "jsonl" | "ndjson") => Self::Json,
            _ => Self::sniff(text),
        }
    }

    fn sniff(text: &str) -> Self {
        let mut lines = text.lines().map(str::trim_start);
        let Some(line) = lines.find(|line| !line.is_empty() && !line.starts_with('#')) else {
            return Self::Toml;
        };
        if line.starts_with('{') {
            return Self::Json;
        }
        if let Some(rest) = line.strip_prefix('[') {
            // A table of TOML begins with a name or another bracket.
            let next = rest.chars().find(|c| !c.is_whitespace());
            return match next {
                None | Some('{' | ']') => Self::Json,
                Some(_) => Self::Toml,
            };
        }
        let key = line.trim_start_matches(|c: char| {
            c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '"' | '\'')
        });
        if key.len() < line.len() && key.trim_start().starts_with('=') {
            Self::Toml
        } else {
            Self::Yaml
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_decides() {
        let of = |name: &str| Format::of(Some(Path::new(name)), "{}");
        assert_eq!(of("jobs.toml"), Format::Toml);
        assert_eq!(of("jobs.YML"), Format::Yaml);
        assert_eq!(of("jobs.jsonl"), Format::Json);
        assert_eq!(of("jobs"), Format::Json);
    }

    #[test]
    fn without_an_extension_the_first_line_decides() {
        let cases = [
            ("{\"command\": [\"a\"]}", Format::Json),
            ("\n [ {\"command\"", Format::Json),
            ("[\n{", Format::Json),
            ("# jobs\n[[jobs]]\ncommand", Format::Toml),
            ("[jobs.env]", Format::Toml),
            ("command = [\"a\"]", Format::Toml),
            ("command: [a]", Format::Yaml),
            ("- command: [a=b]", Format::Yaml),
            ("---\ncommand: [a]", Format::Yaml),
        ];
        for (text, format) in cases {
            assert_eq!(Format::of(None, text), format, "{text}");
        }
    }
}
