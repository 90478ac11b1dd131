//! Why a job file is refused: in words, and with the place.

use super::tests::file;

pub(super) fn refusal(name: &str, text: &str) -> String {
    file(name, text).expect_err(text)
}

#[test]
fn keys_of_later_versions_and_typos_are_refused_with_their_place() {
    let later = ["user", "secrets", "retires", "comand"];
    for key in later {
        let files = [
            ("a.toml", format!("command = [\"a\"]\n{key} = 1\n")),
            (
                "a.toml",
                format!("[[jobs]]\ncommand = [\"a\"]\n\n[[jobs]]\n{key} = 1\n"),
            ),
            ("a.yaml", format!("command: [a]\n{key}: 1\n")),
            ("a.yaml", format!("- command: [a]\n- {key}: 1\n")),
            (
                "a.json",
                format!("{{\"command\": [\"a\"],\n \"{key}\": 1}}"),
            ),
            (
                "a.jsonl",
                format!("{{\"command\": [\"a\"]}}\n{{\"{key}\": 1}}\n"),
            ),
        ];
        for (name, text) in files {
            let error = refusal(name, &text);
            let line = 1 + text[..text.find(key).expect("the key")]
                .matches('\n')
                .count();
            assert!(
                error.starts_with(&format!("{name}, line {line}, column ")),
                "{error}"
            );
            assert!(
                error.contains(&format!("the key `{key}` is not known")),
                "{error}"
            );
        }
    }
}

#[test]
fn wrong_values_are_refused_with_their_place() {
    let wrong = [
        (
            "a.toml",
            "command = [\"a\"]\ntimeout = \"10\"\n",
            "line 2",
            "units",
        ),
        (
            "a.toml",
            "command = [\"a\"]\ntimeout = 10\n",
            "line 2",
            "units",
        ),
        (
            "a.yaml",
            "command: [a]\nlog_limit: many\n",
            "line 2",
            "no size",
        ),
        (
            "a.json",
            "{\"command\": [\"a\"],\n\"tags\": [\"gpu!\"]}",
            "line 2",
            "position 4",
        ),
        (
            "a.json",
            "{\"command\": \"make all\"}",
            "line 1",
            "a list is expected",
        ),
        ("a.json", "{\"command\": [\"a\"]", "line 1", "EOF"),
        ("a.json", "{\"slots\": -1}", "line 1", "-1"),
        (
            "a.toml",
            "command = [\"a\"]\nid = \"7\"\n",
            "line 2",
            "UUID",
        ),
        ("a.toml", "command = [\n", "line", "array"),
        ("a.yaml", "command: [a\n", "line", ""),
    ];
    for (name, text, line, word) in wrong {
        let error = refusal(name, text);
        assert!(error.contains(line), "{error}");
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn refusals_name_the_file_the_job_and_the_key() {
    let wrong = [
        (
            "a.toml",
            "command = [\"a\"]\ntags = [\"rust\", \"os=li nux\"]\n",
        ),
        (
            "a.toml",
            "command = [\"a\"]\nprefer = [{ tag = \"ssd\", weight = -1 }]\n",
        ),
        (
            "a.toml",
            "command = [\"a\"]\nprefer = [{ tag = \"ssd\", weight = 0 }]\n",
        ),
        (
            "a.toml",
            "command = [\"a\"]\nprefer = [{ tag = \"ssd\", wait = 0 }]\n",
        ),
        (
            "a.toml",
            "name = \"n\"\ncommand = [\"a\"]\npriority = 1000001\n",
        ),
        ("a.toml", "command = [\"a\"]\ngroup = { key = \"k\" }\n"),
        ("a.toml", "command = [\"a\"]\ngroup = \"k\"\n"),
        ("a.yaml", "- command: [a]\n- command: [b]\n  cpu: many\n"),
        ("a.yaml", "jobs:\n- command: [a]\n  queue_timeout: 10\n"),
        (
            "a.yaml",
            "- command: [a]\n- command: [b]\n  name: b\n  resources: {cpu: 1}\n",
        ),
        (
            "a.yaml",
            "- command: [a]\n- command: [b]\n  tags: [\"cores>=8x\"]\n",
        ),
        (
            "a.json",
            "{\"jobs\": [{\"command\": [\"a\"],\n\"memory\": \"much\"}]}",
        ),
        (
            "a.json",
            "[{\"command\": [\"a\"]}, {\"command\": [\"a\"],\n\"resources\": {\"gpu\": -1}}]",
        ),
        (
            "a.toml",
            "name = \"n\"\ncommand = [\"a\"]\nlimits = { memory = 1 }\n",
        ),
        (
            "a.toml",
            "[[jobs]]\ncommand = [\"a\"]\n[jobs.limits]\nprocesses = \"many\"\n",
        ),
        ("a.toml", "command = [\"a\"]\nlimits = \"512MiB\"\n"),
        (
            "a.yaml",
            "- command: [a]\n- command: [b]\n  limits: {memroy: 1GiB}\n",
        ),
        (
            "a.yaml",
            "- command: [a]\n- command: [b]\n  name: b\n  limits: {read_rate: 1}\n",
        ),
        (
            "a.json",
            "{\"jobs\": [{\"command\": [\"a\"],\n\"limits\": {\"cpu\": \"much\"}}]}",
        ),
        (
            "a.jsonl",
            "{\"command\": [\"a\"]}\n{\"command\": [\"b\"], \"priority\": \"high\"}\n",
        ),
        (
            "a.jsonl",
            "{\"command\": [\"a\"]}\n{\"command\": [\"b\"], \"prefer\": [{\"tag\": \"!\", \"weight\": 1}]}\n",
        ),
    ];
    let said = wrong.map(|(name, text)| refusal(name, text));
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn jobs_that_contradict_themselves_are_refused() {
    let wrong = [
        ("name = \"n\"\n", "neither `command` nor `script`"),
        ("command = [\"a\"]\nscript = \"b\"\n", "not both"),
        ("command = []\n", "neither"),
        ("command = [\"a\"]\nslots = 0\n", "slots: 0"),
        (
            "name = \"n\"\ncommand = [\"a\"]\ndir = \"../x\"\n",
            "job \"n\": dir",
        ),
        ("command = [\"a\"]\nqueue = \"a b\"\n", "queue"),
    ];
    for (text, word) in wrong {
        let error = refusal("a.toml", text);
        assert!(error.contains(word), "{error}");
    }
    let list = "- command: [a]\n- command: [b]\n  slots: 0\n";
    let error = refusal("a.yaml", list);
    assert!(error.contains("line 2"), "{error}");
    let lines = "{\"command\":[\"a\"]}\n\n{\"slots\":1}\n";
    let error = refusal("a.jsonl", lines);
    assert!(error.contains("line 3, column 1"), "{error}");
    let error = refusal("a.json", "[{\"command\":[\"a\"]},\n{\"slots\":1}]");
    assert!(error.contains("line 2"), "{error}");
}

#[test]
fn a_limit_is_refused_at_its_key_in_toml() {
    let one = "[[jobs]]\ncommand = [\"a\"]\n";
    let wrong = [
        (
            format!("{one}{one}\n[[jobs]]\ncommand = [\"b\"]\nslots = 0\n{one}"),
            "line 8, column 1: job 3: slots: 0",
        ),
        (
            format!("{one}{one}name = \"n\"\ngroup = {{ key = \"k\", limit = 0 }}\n"),
            "line 6, column 1: job \"n\": group (limit): 0",
        ),
        (
            format!("{one}[[jobs]]\nname = \"a\\\": b\"\nscript = \"\"\npriority = 1000001\n"),
            "line 3, column 1: job \"a\\\": b\": name",
        ),
        (
            format!("{one}[[jobs]]\nslots = 1\n"),
            "line 3, column 1: job 2: there is neither",
        ),
        (
            "jobs = [{ command = [\"a\"] },\n  { command = [\"a\"], slots = 0 }]\n".to_owned(),
            "line 2, column 22: job 2: slots",
        ),
        (
            "command = [\"a\"]\npriority = 1000001\n".to_owned(),
            "line 2, column 1: priority: 1000001",
        ),
        (
            "command = [\"a\"]\n[labels]\n\"a b\" = \"c\"\n".to_owned(),
            "line 2, column 2: labels",
        ),
    ];
    for (text, said) in wrong {
        let error = refusal("a.toml", &text);
        assert!(
            error.starts_with(&format!("a.toml, {said}")),
            "{text}{error}"
        );
    }
}

#[test]
fn a_line_is_refused_with_its_job() {
    let wrong = [
        (
            "{\"command\": [\"a\"]}\n{\"slots\": \"x\", \"command\": [\"b\"], \"name\": \"b\"}\n",
            "line 2, column 13: job \"b\": slots: a whole number from 0 to 4294967295 is expected here",
        ),
        (
            "{\"command\": [\"a\"]}\n{\"command\": [\"b\"], \"comand\": 1}\n",
            "line 2, column 27: job 2: the key `comand` is not known",
        ),
        (
            "{\"command\": [\"a\"], \"slots\": 0}\n{\"command\": [\"b\"]}\n",
            "line 1, column 1: job 1: slots: 0",
        ),
        (
            "{\"command\": [\"a\"], \"slots\": 0}\n",
            "line 1, column 1: slots: 0",
        ),
    ];
    for (text, said) in wrong {
        let error = refusal("a.jsonl", text);
        assert!(
            error.starts_with(&format!("a.jsonl, {said}")),
            "{text}{error}"
        );
    }
}

#[test]
fn refuse_empty_files_and_ids_that_come_twice() {
    for (name, text) in [("a.json", ""), ("a.json", "[]"), ("a.yaml", "[]")] {
        assert!(refusal(name, text).contains("no job"), "{name}");
    }
    let id = "0190a0b0-0000-7000-8000-000000000001";
    let text = format!("- {{command: [a], id: {id}}}\n- {{command: [b], id: {id}}}\n");
    assert!(refusal("a.yaml", &text).contains(id));
}

#[test]
fn aliases_cannot_blow_up_a_file() {
    let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..12 {
        let name = format!("*a{},", level - 1).repeat(10);
        text.push_str(
            &[
                "a",
                &level.to_string(),
                ": &a",
                &level.to_string(),
                " [",
                &name,
                "]\n",
            ]
            .concat(),
        );
    }
    assert!(file("a.yaml", &text).is_err());
}
