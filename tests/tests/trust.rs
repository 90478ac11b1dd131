//! Who is refused, in which words, and that nothing secret is written down.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use data_encoding::BASE32_NOPAD;
use jobyard_core::{
    BootId, ConnectError, Hello, LinkError, MasterMessage, RefusalReason, TagSet, Transport,
    WorkerFacts,
};
use jobyard_pki::{ClientProfile, JoinToken, TOKEN_ENTROPY_BYTES, client_config};
use jobyard_tests::{Cluster, Program, Ran, Token};
use jobyard_transport::{ConnectOptions, GrpcTransport};

/// The one sentence for every cause of a bad token.
const BAD_TOKEN: &str = "the join token was not accepted";

/// Runs a worker that is refused, and gives what it says.
fn refused(cluster: &Cluster, name: &str, token: Option<&Token>) -> String {
    let ran = Ran::of(&mut cluster.worker_command(name, token, &[]));
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    ran.stderr
}

fn one_sentence(complaint: &str, expected: &str) {
    let last = complaint.lines().last().unwrap_or_default();
    assert!(last.contains(expected), "{complaint}");
}

fn audit(cluster: &Cluster) -> String {
    cluster.cli(&["audit", "--json"]).ok().text()
}

#[test]
fn a_wrong_a_spent_an_expired_and_a_revoked_token_are_refused_alike_and_audited_apart() {
    let cluster = Cluster::start();

    let good = cluster.token("good.token", &[]);
    let wrong = with_other_secret(&cluster, &good);
    one_sentence(&refused(&cluster, "wrong", Some(&wrong)), BAD_TOKEN);

    let _joined = cluster.worker("joined", &good, &[]);
    one_sentence(&refused(&cluster, "late", Some(&good)), BAD_TOKEN);

    let expired = cluster.token("expired.token", &["--ttl", "1ms"]);
    one_sentence(&refused(&cluster, "expired", Some(&expired)), BAD_TOKEN);

    let revoked = cluster.token("revoked.token", &[]);
    let id = token_id(&revoked);
    let _ = cluster.cli(&["token", "revoke", &id]).ok();
    one_sentence(&refused(&cluster, "revoked", Some(&revoked)), BAD_TOKEN);

    let trail = audit(&cluster);
    for cause in [
        "the secret is not the token's",
        "used up",
        "the token has expired",
        "revoked",
    ] {
        assert!(trail.contains(cause), "{cause}: {trail}");
    }
    let workers = cluster.cli(&["workers", "--json"]).ok().text();
    for name in ["wrong", "late", "expired"] {
        assert!(!workers.contains(&format!("\"{name}\"")), "{workers}");
    }
}

/// A word that is right in all but its secret: the first ten of the random bytes of a token are its id.
fn with_other_secret(cluster: &Cluster, good: &Token) -> Token {
    let pins = JoinToken::parse(&word(good))
        .expect("a token")
        .pins()
        .to_vec();
    let id = BASE32_NOPAD
        .decode(token_id(good).to_ascii_uppercase().as_bytes())
        .expect("base 32");
    let mut entropy = [7; TOKEN_ENTROPY_BYTES];
    entropy[..id.len()].copy_from_slice(&id);
    let forged = JoinToken::from_entropy(pins, &entropy).expect("a token");
    assert_eq!(forged.id().as_str(), token_id(good));
    let file = cluster.path("wrong.token");
    fs::write(&file, forged.expose().as_bytes()).expect("written");
    Token { file }
}

fn word(token: &Token) -> String {
    fs::read_to_string(&token.file)
        .expect("a token file")
        .trim()
        .to_owned()
}

fn token_id(token: &Token) -> String {
    word(token)
        .split('.')
        .nth(1)
        .expect("the id is the second part")
        .to_owned()
}

#[test]
fn a_worker_of_another_cluster_is_refused_by_both_sides() {
    let (ours, theirs) = (Cluster::start(), Cluster::start());
    let token = theirs.token("join.token", &[]);
    drop(theirs.worker("foreign", &token, &[]));
    // It has its identity in its directory, and is sent to the wrong master.
    let mut command = theirs.worker_command("foreign", None, &[]);
    command.args(["--master", ours.address()]);
    let mut arguments = Vec::new();
    let mut skip = false;
    for argument in command.get_args() {
        // Only the wrong master: the right one would be found by trying all.
        if skip && argument == theirs.address() {
            arguments.pop();
            skip = false;
            continue;
        }
        skip = argument == "--master";
        arguments.push(argument.to_owned());
    }
    let ran = Ran::of(Command::new(command.get_program()).args(arguments));
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    one_sentence(&ran.stderr, "no trust between worker and master");
}

#[test]
fn a_clients_certificate_opens_no_session() {
    let cluster = Cluster::start();
    let profile = ClientProfile::load(&cluster.master_data().join("admin.toml")).expect("profile");
    let tls = client_config(profile.credentials()).expect("a configuration");
    let address = vec![cluster.address().to_owned()];
    let transport =
        GrpcTransport::new(address, &tls, ConnectOptions::default()).expect("an address");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let refusal = runtime
        .expect("a runtime")
        .block_on(opens_no_session(Arc::new(transport)));
    assert_eq!(refusal, RefusalReason::Forbidden);
}

async fn opens_no_session(transport: Arc<dyn Transport>) -> RefusalReason {
    let id = BootId::from_uuid(uuid::Uuid::nil());
    let hello = Hello::new(id, id, WorkerFacts::default(), TagSet::new(), 1);
    match transport.connect(hello).await {
        Err(ConnectError::Refused(refusal)) => refusal.reason,
        Err(other) => panic!("refused in the wrong way: {other}"),
        Ok(mut session) => match session.control.receiver.receive().await {
            Err(LinkError::Refused(refusal)) => refusal.reason,
            Ok(messages) => {
                let welcomed = matches!(messages.first(), Some(MasterMessage::Welcome(_)));
                panic!("a session was opened, welcomed: {welcomed}")
            }
            Err(other) => panic!("refused in the wrong way: {other}"),
        },
    }
}

#[test]
fn a_peer_without_a_certificate_gets_no_answer() {
    let cluster = Cluster::start();
    // A TLS client of the world outside: it may shake hands, and then gets an alert and not one byte of HTTP.
    let ran = Ran::of(Command::new("openssl").args([
        "s_client",
        "-alpn",
        "h2",
        "-ign_eof",
        "-connect",
        cluster.address(),
    ]));
    let said = String::from_utf8_lossy(&ran.stdout).into_owned() + &ran.stderr;
    assert!(said.contains("certificate required"), "{said}");
}

#[test]
fn a_worker_without_identity_and_token_is_told_what_to_do() {
    let cluster = Cluster::start();
    let complaint = refused(&cluster, "nobody", None);
    one_sentence(&complaint, "--join-file");
}

#[test]
fn a_removed_worker_is_cut_off_and_cannot_come_back() {
    let cluster = Cluster::start();
    let token = cluster.token("join.token", &["--uses", "2"]);
    let mut worker: Program = cluster.worker("gone", &token, &[]);
    let _ = cluster.cli(&["worker", "remove", "gone"]).ok();
    let (status, log) = worker.wait();
    assert!(!status.success() || log.contains("removed"), "{log}");
    assert!(log.contains("removed"), "{log}");
    // Its identity is deleted: without a token it cannot even ask.
    one_sentence(&refused(&cluster, "gone", None), "--join-file");
}

#[test]
fn the_secret_of_a_token_is_in_no_log_and_no_file_but_its_own() {
    let mut cluster = Cluster::start();
    let token = cluster.token("join.token", &[]);
    let secret = word(&token)
        .split('.')
        .nth(3)
        .expect("the secret is the fourth part")
        .to_owned();
    let mut worker = cluster.worker("quiet", &token, &["--log-level", "trace"]);
    let _ = cluster.cli(&["run", "--", "true"]).ok();
    let logs = [worker.log(), cluster.master.log(), audit(&cluster)];
    for log in &logs {
        assert!(!log.contains(&secret), "a log holds the secret");
    }
    for place in [cluster.master_data(), cluster.path("quiet")] {
        assert_eq!(files_with(&place, secret.as_bytes()), Vec::<String>::new());
    }
}

fn files_with(dir: &Path, needle: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)
        .expect("a directory")
        .map(|entry| entry.expect("an entry"))
    {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_with(&path, needle));
        } else if let Ok(bytes) = fs::read(&path)
            && bytes.windows(needle.len()).any(|window| window == needle)
        {
            found.push(path.display().to_string());
        }
    }
    found
}
