//! What only a cluster is asked.

use std::collections::HashSet;

use futures_util::future::join_all;
use redis::{
    ErrorKind, FromRedisValue, RedisError, RedisResult, Value,
    cluster_async::ClusterConnection,
    cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo, SingleNodeRoutingInfo},
    cmd,
};

use crate::connection::Live;

/// Whether one of these keys is answered on a new connection; where there are none, whether all masters are.
pub(crate) async fn answers(live: &mut Live, keys: &[Vec<u8>]) -> bool {
    let Live::Cluster(connection) = live else { return false };
    if keys.is_empty() {
        return of_all_masters(connection, cmd("PING")).await.is_ok();
    }
    // A right that every `get` needs.
    let asked = keys.iter().map(|key| {
        let mut connection = connection.clone();
        async move { cmd("PTTL").arg(key).query_async::<i64>(&mut connection).await.is_ok() }
    });
    join_all(asked).await.contains(&true)
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
