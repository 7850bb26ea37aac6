//! `memnode cluster`: how the cluster stands, and decisions about it.

pub(super) mod args;
mod compare;
mod show;
mod wire;

use hyper::Method;
use serde_json::json;

use self::args::{ClusterCommand, QuarantineCommand};
use self::wire::{Membership, Quarantine, Snapshot, Status};
use super::Call;
use super::exit::Failure;
use super::find::{ask, print};
use super::output::{counted, size};
use crate::client::Payload;
use crate::node::Need;

pub(super) async fn run(call: &Call, command: ClusterCommand) -> Result<(), Failure> {
    match command {
        ClusterCommand::Init => init(call).await,
        ClusterCommand::Status => status(call).await,
        ClusterCommand::Digest => digest(call).await,
        ClusterCommand::Compare { urls, ca } => compare::run(call, &urls, ca.as_deref()).await,
        ClusterCommand::Join { id, yes } => join(call, &id, yes).await,
        ClusterCommand::Forget { node } => forget(call, &node).await,
        ClusterCommand::Snapshot => snapshot(call).await,
        ClusterCommand::Quarantine { command } => quarantine(call, command).await,
    }
}

async fn get(call: &Call, path: &str) -> Result<Vec<u8>, Failure> {
    ask(call, Need::StoreOnly, Method::GET, path, Payload::Empty).await
}

async fn post(call: &Call, path: &str, body: Payload) -> Result<Vec<u8>, Failure> {
    ask(call, Need::StoreOnly, Method::POST, path, body).await
}

async fn init(call: &Call) -> Result<(), Failure> {
    let answer = post(call, "/api/cluster/init", Payload::Empty).await?;
    print(call, &answer, |membership: Membership| show::membership(&membership))
}

async fn status(call: &Call) -> Result<(), Failure> {
    let answer = get(call, "/api/cluster").await?;
    print(call, &answer, |status: Status| show::status(&status, &call.output))
}

async fn digest(call: &Call) -> Result<(), Failure> {
    let answer = get(call, "/api/cluster/digest").await?;
    print(call, &answer, |digest: wire::Digest| {
        let applied: u64 = digest.vector.values().map(|runs| wire::count(runs)).sum();
        let records = counted(digest.count, "record", "records");
        let writes = counted(applied, "write", "writes");
        format!("{}\n{records}, {writes} applied\n", digest.root)
    })
}

async fn join(call: &Call, id: &str, yes: bool) -> Result<(), Failure> {
    let body = Payload::Json(json!({"id": id, "confirm": yes}));
    let answer = post(call, "/api/cluster/join", body).await?;
    print(call, &answer, |membership: Membership| show::membership(&membership))
}

async fn forget(call: &Call, node: &str) -> Result<(), Failure> {
    let body = Payload::Json(json!({"node": node}));
    let answer = post(call, "/api/cluster/forget-node", body).await?;
    print(call, &answer, |done: wire::Done| format!("{}\n", done.message))
}

async fn snapshot(call: &Call) -> Result<(), Failure> {
    let answer = post(call, "/api/cluster/snapshot", Payload::Empty).await?;
    print(call, &answer, |made: Snapshot| {
        let records = counted(made.records, "record", "records");
        format!("Made the snapshot {} of {records}, {}\n", made.name, size(made.bytes))
    })
}

async fn quarantine(call: &Call, command: Option<QuarantineCommand>) -> Result<(), Failure> {
    let path = "/api/cluster/quarantine";
    let body = match command {
        None => {
            let answer = get(call, path).await?;
            return print(call, &answer, |held: Quarantine| show::quarantine(&held, &call.output));
        }
        Some(QuarantineCommand::Retry { write }) => json!({"action": "retry", "position": write}),
        Some(QuarantineCommand::Void { write }) => json!({"action": "void", "position": write}),
    };
    let answer = post(call, path, Payload::Json(body)).await?;
    print(call, &answer, |done: wire::Done| format!("{}\n", done.message))
}
