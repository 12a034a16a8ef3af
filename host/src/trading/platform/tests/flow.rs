//! Drives the adapter as the flows do: records what must be durable, asks before it sends again, and crashes where a test says so.

use std::sync::Arc;
use std::time::Duration;

use cashier_core::account::AccountMode;
use cashier_core::ids::{CustomerId, Login, OperationId, Reference, ServerName, TransactionId};
use cashier_core::money::{Currency, Money};
use cashier_core::operation::{BalanceOperation, PostingOutcome};
use cashier_core::reason::ReasonCode;
use cashier_core::status::{OperationCmd, OperationReason, OperationStatus};
use cashier_core::time::UnixTime;
use cashier_fake_platform::{EXECUTED, FakePlatform};

use super::fake_dial::FakeDial;
use super::{OwnTasks, SeededEntropy, TokioClock, spawner};
use crate::ports::{Clock, Durable, PostStep, Posting, Voiding};
use crate::trading::platform::server::PlatformServer;
use crate::trading::platform::{PlatformPhases, PlatformSearch, PlatformSettings, PlatformTls};
use crate::trading::remote::RemoteServer;

/// What every test posts.
pub(super) const MINOR: i64 = 25_050;

pub(super) fn settings(phases: PlatformPhases) -> PlatformSettings {
    let search = PlatformSearch {
        field: "where".into(),
        equals: "{column} = '{value}'".into(),
        at_least: "{column} >= {value}".into(),
        order_by: "update_time".into(),
        by_uuid: true,
        in_milliseconds: false,
    };
    PlatformSettings {
        phases,
        executed_states: vec![EXECUTED],
        customers_command: Some("ListCustomers".into()),
        missing_account: vec!["NO_SUCH_LOGIN".into()],
        refusals: vec!["NO_MONEY".into()],
        search: Some(search),
        ..PlatformSettings::new("fake:1", PlatformTls::Plain, "none".into())
    }
}

/// A running client; a crash drops it with everything that it holds in memory.
pub(super) struct Running {
    pub(super) server: PlatformServer,
    _tasks: Arc<OwnTasks>,
}

pub(super) fn open(fake: &Arc<FakePlatform>, settings: PlatformSettings, clock: &Arc<dyn Clock>, seed: u64) -> Running {
    let tasks = spawner();
    let dial = Arc::new(FakeDial(Arc::clone(fake)));
    let server = PlatformServer::over(dial, settings, Arc::clone(clock), SeededEntropy::arc(seed), &*tasks).unwrap();
    server.sweep(&*tasks);
    Running { server, _tasks: tasks }
}

pub(super) fn opened(fake: &Arc<FakePlatform>, settings: PlatformSettings) -> Running {
    open(fake, settings, &TokioClock::arc(), 7)
}

/// The operation as the books have it.
pub(super) fn posting(ordinal: u32, login: u64, minor: i64) -> Posting {
    let out = minor < 0;
    let operation = BalanceOperation {
        id: OperationId(u64::from(ordinal) + 40),
        transaction_id: TransactionId(9),
        ordinal,
        login: Login(login),
        request_order: 0,
        trade_order: 0,
        cmd: if out { OperationCmd::BalanceOut } else { OperationCmd::BalanceIn },
        amount: Money::new(minor, Currency::from_code("USD").unwrap()),
        reason: if out { OperationReason::Withdrawal } else { OperationReason::Deposit },
        status: OperationStatus::Planned,
        failure_reason: Box::default(),
        created_time: UnixTime(1_779_270_000),
        updated_time: UnixTime(1_779_270_000),
    };
    Posting {
        operation,
        reference: Reference::from_random(77),
        server: ServerName::default(),
        customer_id: CustomerId(5),
        only_on: None,
        comment: "cashier 9".into(),
    }
}

pub(super) fn deposit() -> Posting {
    posting(1, 100, MINOR)
}

pub(super) fn only_on(mode: AccountMode) -> Posting {
    Posting { only_on: Some(mode), ..deposit() }
}

/// One run of settlement. What is written to `due` is durable before the next call; `None` where nothing new is known.
pub(super) async fn settle(server: &PlatformServer, due: &mut Posting, withheld: bool) -> Option<PostingOutcome> {
    for _ in 0..4 {
        let keyed = server.keyed_by_operation();
        let known = due.operation.status == OperationStatus::Unknown;
        if known {
            let found = server.find(due).await.ok()?;
            if found.is_some() || !keyed {
                return found.inspect(|outcome| record(due, outcome));
            }
        }
        if withheld {
            let outcome = match server.void(Durable::assertion(due.clone()), ReasonCode::Withheld).await.ok()? {
                Voiding::Settled(outcome) => outcome,
                Voiding::Undecided { .. } if !keyed && !known => PostingOutcome::Refused { reason: "WITHHELD".into() },
                Voiding::Undecided { .. } => return None,
            };
            record(due, &outcome);
            return Some(outcome);
        }
        if !keyed {
            record(due, &PostingOutcome::Unknown);
        }
        match server.post(Durable::assertion(due.clone())).await {
            PostStep::Done(outcome) => {
                record(due, &outcome);
                return Some(outcome);
            }
            PostStep::Prepared { request_order } => {
                assert!([0, request_order].contains(&due.operation.request_order), "a recorded number is replaced");
                due.operation.request_order = request_order;
            }
            PostStep::NotSent => {
                if !known {
                    due.operation.status = OperationStatus::Planned;
                }
                return None;
            }
        }
    }
    None
}

fn record(due: &mut Posting, outcome: &PostingOutcome) {
    due.operation.status = match outcome {
        PostingOutcome::Posted { trade_order, flaw } => {
            due.operation.trade_order = *trade_order;
            due.operation.failure_reason = flaw.map_or("", |flaw| flaw.reason().name()).into();
            OperationStatus::Posted
        }
        PostingOutcome::Refused { .. } | PostingOutcome::Conflict => OperationStatus::Refused,
        PostingOutcome::Unknown => OperationStatus::Unknown,
    };
}

/// Settles until it has an outcome, as the janitor does; the last word after a quarter of an hour.
pub(super) async fn settle_for_long(server: &PlatformServer, due: &mut Posting) -> Option<PostingOutcome> {
    let mut last = None;
    for _ in 0..15 {
        last = settle(server, due, false).await;
        if !due.operation.is_unsettled() {
            return last;
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    last
}
