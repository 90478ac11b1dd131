//! Calls about workers, queues and join tokens.

use async_trait::async_trait;
use jobyard_core::{
    Action, Caller, ControlError, CreatedToken, Fleet, NewToken, QueueChange, QueueInfo,
    SecretText, TokenInfo, Worker, WorkerCommand,
};
use jobyard_pki::TokenRecord;

use super::refused;
use crate::engine::{Answer, Input};
use crate::shell::master::Master;
use crate::shell::requests::Ask;
use crate::shell::tokens::token_request;

#[async_trait]
impl Fleet for Master {
    async fn workers(&self, caller: &Caller, removed: bool) -> Result<Vec<Worker>, ControlError> {
        self.shared.allow(caller, Action::ReadFleet)?;
        self.shared
            .inbox
            .ask(|to| Ask::Workers { removed, to })
            .await
    }

    async fn worker(&self, caller: &Caller, worker: &str) -> Result<Worker, ControlError> {
        self.shared.allow(caller, Action::ReadFleet)?;
        let found = self
            .shared
            .inbox
            .ask(|to| Ask::Worker(worker.to_owned(), to))
            .await?;
        found.ok_or_else(|| ControlError::NotFound {
            what: "worker",
            id: worker.to_owned(),
        })
    }

    async fn set_worker(
        &self,
        caller: &Caller,
        worker: &str,
        to: WorkerCommand,
    ) -> Result<Worker, ControlError> {
        self.shared.allow(caller, Action::ChangeWorker)?;
        let (by, worker) = (caller.name.clone(), worker.to_owned());
        let answer = self
            .shared
            .call(caller, |reply| Input::SetWorker {
                reply,
                by,
                worker,
                to,
            })
            .await?;
        match answer {
            Answer::Worker(worker) => Ok(*worker),
            other => Err(refused(other)),
        }
    }

    async fn queues(&self, caller: &Caller) -> Result<Vec<QueueInfo>, ControlError> {
        self.shared.allow(caller, Action::ReadFleet)?;
        self.shared.inbox.ask(Ask::Queues).await
    }

    async fn set_queue(
        &self,
        caller: &Caller,
        queue: &str,
        change: QueueChange,
    ) -> Result<QueueInfo, ControlError> {
        self.shared.allow(caller, Action::ChangeQueue)?;
        let (by, queue) = (caller.name.clone(), queue.to_owned());
        let answer = self
            .shared
            .call(caller, |reply| Input::SetQueue {
                reply,
                by,
                queue,
                change,
            })
            .await?;
        match answer {
            Answer::Queue(queue) => Ok(*queue),
            other => Err(refused(other)),
        }
    }

    async fn create_token(
        &self,
        caller: &Caller,
        token: NewToken,
    ) -> Result<CreatedToken, ControlError> {
        self.shared.allow(caller, Action::ManageTokens)?;
        let minted = self.shared.mint(caller, &token)?;
        let now = self.shared.config.clock.now().wall;
        let mut record = TokenRecord::new(&minted, &token, now)
            .map_err(|problem| ControlError::invalid("token", problem.to_string()))?;
        record.request = token_request(caller, &token);
        self.shared.admit().await?;
        let by = caller.name.clone();
        let record = Box::new(record);
        let answer = self
            .shared
            .call(caller, |reply| Input::CreateToken {
                reply,
                by,
                record,
                terms: token,
            })
            .await?;
        match answer {
            Answer::Token(info) => {
                let word = SecretText::new(minted.expose().as_str());
                Ok(CreatedToken::new(*info, word))
            }
            other => Err(refused(other)),
        }
    }

    async fn tokens(&self, caller: &Caller) -> Result<Vec<TokenInfo>, ControlError> {
        self.shared.allow(caller, Action::ManageTokens)?;
        self.shared.inbox.ask(Ask::Tokens).await
    }

    async fn revoke_token(&self, caller: &Caller, token: &str) -> Result<(), ControlError> {
        self.shared.allow(caller, Action::ManageTokens)?;
        let (by, token) = (caller.name.clone(), token.to_owned());
        match self
            .shared
            .call(caller, |reply| Input::RevokeToken { reply, by, token })
            .await?
        {
            Answer::Done => Ok(()),
            other => Err(refused(other)),
        }
    }
}
