//! The function before an emulator of the Runtime API of AWS Lambda.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

/// How long the function may take for an answer on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A function, and what gives it events. The function ends with this.
struct Function {
    child: Child,
    events: Sender<Value>,
    answers: Receiver<Value>,
}

impl Function {
    /// Starts the binary as AWS does.
    fn start(users: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (events, waiting) = channel();
        let (answer, answers) = channel();
        thread::spawn(move || {
            // The function opens another connection if it likes.
            for stream in listener.incoming() {
                serve(&stream.expect("a connection"), &waiting, &answer);
            }
        });
        let child = Command::new(env!("CARGO_BIN_EXE_lambda"))
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", address)
            .env("AWS_LAMBDA_FUNCTION_NAME", "shop")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .env("USERS_URL", users)
            .spawn()
            .expect("the function can be run");
        Self {
            child,
            events,
            answers,
        }
    }

    /// What the function answers to an event.
    fn invoke(&self, event: Value) -> Value {
        self.events.send(event).expect("the emulator runs");
        self.answers.recv_timeout(PATIENCE).expect("an answer")
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }
}

/// Answers the requests of one connection: events for `GET .../invocation/next`, and a receipt for each answer.
fn serve(mut stream: &TcpStream, events: &Receiver<Value>, answers: &Sender<Value>) {
    let mut reader = BufReader::new(stream);
    let mut number = 0;
    while let Some((first, body)) = request(&mut reader) {
        let response = if first.starts_with("GET /2018-06-01/runtime/invocation/next ") {
            let Ok(event) = events.recv() else { return };
            number += 1;
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .expect("after 1970");
            let deadline = (now + PATIENCE).as_millis();
            let event = event.to_string();
            format!(
                "HTTP/1.1 200 OK\r\nlambda-runtime-aws-request-id: {number}\r\nlambda-runtime-deadline-ms: {deadline}\r\n\
                 lambda-runtime-invoked-function-arn: arn:aws:lambda:eu-west-1:1:function:shop\r\ncontent-length: {}\r\n\r\n{event}",
                event.len()
            )
        } else {
            assert!(
                first.contains("/response "),
                "{first}: {}",
                String::from_utf8_lossy(&body)
            );
            let answer = serde_json::from_slice(&body).expect("JSON");
            if answers.send(answer).is_err() {
                return;
            }
            "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n".to_owned()
        };
        if stream.write_all(response.as_bytes()).is_err() {
            return;
        }
    }
}

/// The first line of a request, and its body; nothing at the end of the connection.
fn request(reader: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let mut first = String::new();
    reader.read_line(&mut first).ok().filter(|read| *read > 0)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        if line == "\r\n" {
            break;
        }
        let (name, value) = line.split_once(':').expect("a field");
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().expect("a length");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((first, body))
}

/// The sample event of this name.
fn event(name: &str) -> Value {
    let path = format!("{}/events/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("a sample event");
    serde_json::from_str(&text).expect("JSON")
}

/// A service that answers each request with its first line.
fn users() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.expect("a connection");
            thread::spawn(move || {
                let mut reader = BufReader::new(&stream);
                while let Some((first, _)) = request(&mut reader) {
                    let head = format!(
                        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{first}",
                        first.len()
                    );
                    if (&stream).write_all(head.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    format!("http://{address}")
}

#[test]
fn each_form_of_event_is_answered() {
    let function = Function::start(&users());
    for name in ["rest", "http", "url", "balancer"] {
        let mut sample = event(name);
        for path in ["/path", "/rawPath"] {
            if let Some(path) = sample.pointer_mut(path) {
                *path = json!("/users/7");
            }
        }
        let answer = function.invoke(sample);
        assert_eq!(answer["statusCode"], 200, "{name}: {answer}");
        let body = answer["body"].as_str().expect("a body");
        assert!(body.contains(" /users/7"), "{name}: {body}");
    }
}

#[test]
fn the_gateway_answers_by_itself_too() {
    let function = Function::start("http://127.0.0.1:9");
    for (path, status) in [("/", 200), ("/nowhere", 404)] {
        let mut event = event("url");
        event["rawPath"] = json!(path);
        assert_eq!(function.invoke(event)["statusCode"], status, "{path}");
    }
}

#[test]
fn a_variable_that_is_missing_ends_the_start() {
    let output = Command::new(env!("CARGO_BIN_EXE_lambda"))
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9")
        .output()
        .expect("the function can be run");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("USERS_URL is not set"), "{said}");
}
