//! One greeting in each protocol: a port that is open is not yet a server that serves.

use std::io::{Read, Result, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use super::Service;

pub(super) fn greeted(service: &Service, port: u16) -> bool {
    let wait = Duration::from_secs(2);
    let greets = || {
        let mut stream = TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, port).into(), wait)?;
        stream.set_read_timeout(Some(wait))?;
        stream.set_write_timeout(Some(wait))?;
        (service.greets)(&mut stream)
    };
    greets().unwrap_or(false)
}

pub(super) fn redis(stream: &mut TcpStream) -> Result<bool> {
    stream.write_all(b"PING\r\n")?;
    Ok(read(stream)? == *b"+PONG\r\n")
}

/// `{ hello: 1, $db: "admin" }` as an OP_MSG; the answer is one, too.
pub(super) fn mongo(stream: &mut TcpStream) -> Result<bool> {
    let document = b"\x1f\0\0\0\x10hello\0\x01\0\0\0\x02$db\0\x06\0\0\0admin\0\0";
    let op_msg = 2013_u32.to_le_bytes();
    let length = 16 + 5 + document.len() as u32;
    let header = [length.to_le_bytes(), 1_u32.to_le_bytes(), [0; 4], op_msg].concat();
    stream.write_all(&[&header[..], &[0; 5], document].concat())?;
    let answer: [u8; 16] = read(stream)?;
    Ok(answer.ends_with(&op_msg))
}

/// A start of version 3.0; while the server starts up itself, the answer is an error instead of a request to log in.
pub(super) fn postgres(stream: &mut TcpStream) -> Result<bool> {
    let words = b"\0\x03\0\0user\0postgres\0\0";
    stream.write_all(&[&(words.len() as u32 + 4).to_be_bytes()[..], words].concat())?;
    Ok(read(stream)? == *b"R")
}

/// The server speaks first: length, packet number, then protocol version 10.
pub(super) fn mysql(stream: &mut TcpStream) -> Result<bool> {
    let greeting: [u8; 5] = read(stream)?;
    Ok(greeting[4] == 10)
}

fn read<const N: usize>(stream: &mut TcpStream) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}
