//! W11: floods of HTTP/2, spoken in raw frames (RFC 9113).

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::world::{PATIENCE, Post, Setup, World};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;
const END_STREAM: u8 = 1;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// `GET /healthz` of `a`, in HPACK without a table.
fn get_health() -> Vec<u8> {
    [b"\x82\x86\x04\x08/healthz\x01\x01a".as_slice()].concat()
}

async fn connect(world: &World) -> TcpStream {
    let mut stream = world.connect().await;
    stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await.unwrap();
    stream
}

/// Kinds of the frames until the server closes, or until one of this kind.
async fn frames(stream: &mut TcpStream, until: u8) -> Vec<u8> {
    let mut kinds = Vec::new();
    let reading = async {
        let mut head = [0; 9];
        while stream.read_exact(&mut head).await.is_ok() {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            if stream.read_exact(&mut payload).await.is_err() {
                break;
            }
            kinds.push(head[3]);
            if head[3] == until {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("the server says something");
    kinds
}

#[tokio::test]
async fn http2_is_spoken() {
    let world = World::start(Setup::default()).await;
    let mut stream = connect(&world).await;
    stream.write_all(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &get_health())).await.unwrap();
    assert!(frames(&mut stream, HEADERS).await.ends_with(&[HEADERS]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w11_rapid_resets_end_their_connection() {
    let world = World::start(Setup::default()).await;
    let mut stream = connect(&world).await;
    let mut flood = Vec::new();
    for number in 0..10_000_u32 {
        let id = 2 * number + 1;
        flood.extend(frame(HEADERS, END_HEADERS | END_STREAM, id, &get_health()));
        flood.extend(frame(RST_STREAM, 0, id, &8_u32.to_be_bytes()));
    }
    // It may be closed before all is sent.
    drop(stream.write_all(&flood).await);
    assert!(frames(&mut stream, GOAWAY).await.len() < 10_000);
    assert_eq!(world.post(&Post::push("g", "main")).await.status, 202);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w11_headers_without_end_end_their_connection() {
    let world = World::start(Setup::default()).await;
    let mut stream = connect(&world).await;
    // A header of 100 bytes that is never indexed, again and again.
    let header = [b"\x10\x01x\x64".as_slice(), &[b'y'; 100]].concat().repeat(100);
    stream.write_all(&frame(HEADERS, END_STREAM, 1, &get_health())).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let flood = async { while writer.write_all(&frame(CONTINUATION, 0, 1, &header)).await.is_ok() {} };
    let mut answer = Vec::new();
    let end = async { drop(reader.read_to_end(&mut answer).await) };
    let both = async {
        tokio::select! { () = flood => {}, () = end => {} }
    };
    tokio::time::timeout(PATIENCE, both).await.expect("the server ends it");
    assert_eq!(world.post(&Post::push("g", "main")).await.status, 202);
}
