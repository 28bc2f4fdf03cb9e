//! What only a cluster is asked.

use std::{collections::HashSet, time::Duration};

use futures_util::future::{join, join_all};
use redis::{
    ErrorKind, FromRedisValue, RedisError, RedisResult, Value,
    cluster_async::ClusterConnection,
    cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo, SingleNodeRoutingInfo},
    cmd,
};
use tokio::time::timeout;

use crate::connection::Live;

/// What another connection is beside the present one.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Beside {
    /// It answers for one of the keys, within so long, for which the present one does not in half the time; where there are no keys,
    /// all masters answer on it.
    Better,
    /// Neither answers for one of them.
    AsSilent,
    /// The present one answers for all.
    NotNeeded,
}

pub(crate) async fn compared(new: &Live, present: &Live, keys: &[Vec<u8>], patience: Duration) -> Beside {
    let (Live::Cluster(new), Live::Cluster(present)) = (new, present) else { return Beside::NotNeeded };
    if keys.is_empty() {
        // A right that every list needs.
        let (mut new, mut scan) = (new.clone(), cmd("SCAN"));
        scan.arg(0).arg("COUNT").arg(1);
        let asked = timeout(patience, of_all_masters(&mut new, scan)).await;
        return if asked.is_ok_and(|answers| answers.is_ok()) { Beside::Better } else { Beside::AsSilent };
    }
    let (new, present) = join(answered(new, keys, patience), answered(present, keys, patience / 2)).await;
    let mut beside = Beside::NotNeeded;
    for (new, present) in new.into_iter().zip(present) {
        match (new, present) {
            (true, false) => return Beside::Better,
            (false, false) => beside = Beside::AsSilent,
            (_, true) => {}
        }
    }
    beside
}

/// Which of them are.
async fn answered(connection: &ClusterConnection, keys: &[Vec<u8>], patience: Duration) -> Vec<bool> {
    let asked = keys.iter().map(|key| {
        let mut connection = connection.clone();
        async move {
            // A right that every `get` needs.
            let mut pttl = cmd("PTTL");
            let asked = timeout(patience, pttl.arg(key).query_async::<i64>(&mut connection)).await;
            asked.is_ok_and(|answer| answer.is_ok())
        }
    });
    join_all(asked).await
}

/// What each master answers, by its address. The client itself asks those that it is connected to, and says nothing of the
/// others: here that is an error.
pub(crate) async fn of_all_masters(
    connection: &mut ClusterConnection,
    command: redis::Cmd,
) -> RedisResult<Vec<(Value, Value)>> {
    let routing = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
    let Value::Map(answers) = connection.route_command(command, routing).await? else {
        return Err((ErrorKind::UnexpectedReturnType, "no answer of each master").into());
    };
    for (_, answer) in &answers {
        if let Value::ServerError(error) = answer {
            return Err(error.clone().into());
        }
    }
    if answers.len() < masters(connection).await? { Err(not_all()) } else { Ok(answers) }
}

/// How many of them have keys.
async fn masters(connection: &mut ClusterConnection) -> RedisResult<usize> {
    let (mut command, any) = (cmd("CLUSTER"), SingleNodeRoutingInfo::RandomPrimary);
    command.arg("SLOTS");
    let slots = connection.route_command(command, RoutingInfo::SingleNode(any)).await?;
    let third = |list| {
        let third = Vec::<Value>::from_redis_value(list)?.into_iter().nth(2);
        Ok::<_, RedisError>(third.unwrap_or(Value::Nil))
    };
    // The first and the last one, the master, its replicas; of a master its host, its port, its name.
    let names = Vec::<Value>::from_redis_value(slots)?
        .into_iter()
        .map(|slots| Ok(String::from_redis_value(third(third(slots)?)?)?));
    Ok(names.collect::<RedisResult<HashSet<_>>>()?.len())
}

fn not_all() -> RedisError {
    (ErrorKind::ClusterConnectionNotFound, "not every master is connected").into()
}

/// Whether it is that error, after which the client itself does nothing.
pub(crate) fn is_not_all(error: &RedisError) -> bool {
    error.kind() == ErrorKind::ClusterConnectionNotFound
}
