//! MySQL, in the shape of MariaDB, or the real one where that is installed alone or asked for.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use test_support::{User, program};

use super::{OF_ITS_OWN, Service, ping};
use crate::workspace::{create, write};
use crate::{Result, install, process};

pub(super) const MYSQL: Service = Service {
    name: "mysql",
    variable: "MYSQL_URL",
    member: "store-sqlx",
    port: 3306,
    url: |port| format!("mysql://root@127.0.0.1:{port}/sessions"),
    find,
    install: |workspace| install::debian(workspace, &["mariadb-server"]),
    add: |_| Ok(()),
    command,
    greets: ping::mysql,
    stop: "TERM",
    kill: "KILL",
    refuses_root: false,
};

/// MariaDB with its installer, unless another version is wanted or there is none. MySQL makes its files itself.
fn find() -> Option<PathBuf> {
    let mysqld = program("mysqld");
    let mysql = mysqld.clone().filter(|mysqld| is_mysql(mysqld));
    let mariadb =
        || install_db().and(program("mariadbd").or_else(|| mysqld.filter(|mysqld| !is_mysql(mysqld))));
    if env::var_os(OF_ITS_OWN).is_some() { mysql.or_else(mariadb) } else { mariadb().or(mysql) }
}

fn is_mysql(program: &Path) -> bool {
    let version = process::ask(Command::new(program).arg("--version"));
    version.is_some_and(|version| !version.contains("MariaDB"))
}

/// Its packages have a folder for files that statements may read, which is not there where they are only unpacked.
const MYSQLS_OWN: &str = "--secure-file-priv=NULL";

fn install_db() -> Option<PathBuf> {
    program("mariadb-install-db").or_else(|| program("mysql_install_db"))
}

fn command(program: &Path, folder: &Path, port: u16, _: Option<User>) -> Result<Command> {
    let data = folder.join("data");
    create(&data)?;
    // A starting server clears its folder for temporary tables, which others would share.
    let temporary = folder.join("temporary");
    create(&temporary)?;
    let is_mysql = is_mysql(program);
    let mut init = if is_mysql {
        let mut init = Command::new(program);
        init.args(["--no-defaults", "--initialize-insecure", MYSQLS_OWN]);
        init
    } else {
        let mut init = Command::new(install_db().ok_or("no mariadb-install-db")?);
        init.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]);
        init
    };
    init.args(me()).arg(option("--datadir=", &data)).arg(option("--tmpdir=", &temporary));
    process::run(&mut init, &folder.join("log"))?;

    let first = folder.join("first.sql");
    // MySQL's own root comes from `localhost` only, which nobody is where no names are resolved.
    let root = "CREATE USER IF NOT EXISTS root@'127.0.0.1';\nGRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;\n";
    let root = if is_mysql { root } else { "" };
    write(&first, &format!("{root}CREATE DATABASE sessions;\n"))?;
    let mut command = Command::new(program);
    command.arg("--no-defaults").args(me()).args(is_mysql.then_some(MYSQLS_OWN));
    command.arg(option("--datadir=", &data)).arg(option("--tmpdir=", &temporary));
    command.arg(option("--init-file=", &first));
    command.args([&format!("--port={port}"), "--bind-address=127.0.0.1", "--skip-name-resolve"]);
    // Both relative to the data: the path of a socket may be too long.
    command.args(["--socket=socket", "--pid-file=pid"]);
    // No waiting for the disk.
    command.arg("--innodb-flush-log-at-trx-commit=0");
    Ok(command)
}

/// It runs as root only when it is told to.
fn me() -> Option<String> {
    Some(format!("--user={}", process::ask(Command::new("id").arg("-un"))?))
}

fn option(name: &str, path: &Path) -> std::ffi::OsString {
    let mut option = std::ffi::OsString::from(name);
    option.push(path);
    option
}
