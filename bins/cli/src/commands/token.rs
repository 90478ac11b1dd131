//! `jobyard token`

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use jobyard_core::{CreatedToken, NewToken, Tag, parse_duration};

use crate::context::Context;
use crate::failure::Failure;
use crate::patience::repeat;
use crate::table::table;
use crate::views::{TokenView, time};

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a join token; its word is shown this once
    Create(CreateArgs),
    /// List tokens, newest first, without their words
    List,
    /// Make a token useless; workers that joined with it stay
    Revoke {
        /// Its id
        token: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// How many machines may join with it
    #[arg(long, value_name = "N", default_value_t = 1)]
    uses: u32,

    /// How long it lives
    #[arg(long, value_name = "T", default_value = "30m", value_parser = parse_duration)]
    ttl: Duration,

    /// A tag for each worker that joins with it; repeatable
    #[arg(long = "tag", value_name = "T")]
    tags: Vec<Tag>,

    /// Write the word to this file, readable for you alone, instead of printing it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Looks after join tokens.
pub(crate) async fn token(context: &mut Context, command: TokenCommand) -> Result<u8, Failure> {
    match command {
        TokenCommand::Create(args) => create(context, args).await,
        TokenCommand::List => list(context).await,
        TokenCommand::Revoke { token } => revoke(context, &token).await,
    }
}

async fn create(context: &mut Context, args: CreateArgs) -> Result<u8, Failure> {
    let mut new = NewToken::default();
    new.uses = args.uses;
    new.ttl = args.ttl;
    new.tags = args.tags;
    let caller = context.request();
    let created = repeat(|| context.control.create_token(&caller, new.clone())).await?;
    if let Some(path) = &args.out {
        write_private(path, &created)?;
    }
    if context.json {
        let view = match args.out {
            Some(_) => TokenView::from(&created.info),
            None => TokenView::with_word(&created),
        };
        context.console.json(&view).await?;
    } else if let Some(path) = &args.out {
        let note = format!(
            "token {} is in {}; it ends at {}",
            created.info.id,
            path.display(),
            time(created.info.expires_at)
        );
        context.console.note(&note).await;
    } else {
        context.console.line(created.token.expose()).await?;
    }
    Ok(0)
}

/// Writes the whole file or nothing, with mode 0600.
fn write_private(path: &Path, created: &CreatedToken) -> Result<(), Failure> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(parent.unwrap_or(Path::new(".")))?;
        writeln!(file, "{}", created.token.expose())?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(|error| {
        let name = path.display();
        Failure::jobyard("output", format!("cannot write {name}: {error}")).with_hint(format!(
            "revoke the token with `jobyard token revoke {}` and make another one",
            created.info.id
        ))
    })
}

async fn list(context: &mut Context) -> Result<u8, Failure> {
    let tokens = repeat(|| context.control.tokens(&context.caller)).await?;
    if context.json {
        let views: Vec<_> = tokens.iter().map(TokenView::from).collect();
        context.console.json(&views).await?;
        return Ok(0);
    }
    let rows = tokens.iter().map(|token| {
        let tags: Vec<_> = token.tags.iter().map(Tag::to_string).collect();
        [
            token.id.clone(),
            token.uses_left.to_string(),
            time(token.expires_at),
            if token.revoked { "yes" } else { "no" }.to_owned(),
            tags.join(" "),
        ]
    });
    let heading = ["TOKEN", "USES LEFT", "ENDS", "REVOKED", "TAGS"];
    context
        .console
        .line(&table(heading, rows.collect()))
        .await?;
    Ok(0)
}

async fn revoke(context: &mut Context, token: &str) -> Result<u8, Failure> {
    let caller = context.request();
    repeat(|| context.control.revoke_token(&caller, token)).await?;
    if context.json {
        let view = serde_json::json!({ "token_id": token, "revoked": true });
        context.console.json(&view).await?;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::tests::scripted;

    #[tokio::test]
    async fn the_word_goes_to_one_place_only() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("join.token");
        let args = |out| CreateArgs {
            uses: 10,
            ttl: Duration::from_hours(1),
            tags: Vec::new(),
            out,
        };
        let (mut context, _, out, err) = scripted();
        let command = TokenCommand::Create(args(Some(file.clone())));
        assert_eq!(token(&mut context, command).await, Ok(0));
        assert_eq!(
            std::fs::read_to_string(&file).expect("written"),
            "jyt1.word\n"
        );
        assert_eq!(out.text(), "");
        assert!(!err.text().contains("jyt1.word"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&file)
                .expect("there")
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }

        let (mut context, _, out, _) = scripted();
        assert_eq!(
            token(&mut context, TokenCommand::Create(args(None))).await,
            Ok(0)
        );
        assert_eq!(out.text(), "jyt1.word\n");
    }
}
