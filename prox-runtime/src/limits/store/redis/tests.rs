use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::AtomicU64,
};

use super::*;
use crate::limits::gcra::{MOST, Window};

/// A server of its own on a Unix socket, which ends with this.
struct Server {
    child: Child,
    folder: PathBuf,
}

impl Server {
    async fn start() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Relaxed);
        let folder = format!("prox-redis-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        let child = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--unixsocket"])
            .arg(folder.join("s"))
            .current_dir(&folder)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed");
        let server = Self { child, folder };
        while server.connection().await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        server
    }

    fn url(&self) -> Secret {
        let path = self.folder.join("s");
        format!("redis+unix://{}", path.display()).parse().unwrap()
    }

    async fn connection(&self) -> Result<MultiplexedConnection, RedisError> {
        let client = Client::open(self.url().expose())?;
        client.get_multiplexed_async_connection().await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn window(&mut self) -> Window {
        let fill = [Fill::Evenly, Fill::Evenly, Fill::Daily, Fill::Monthly];
        let fill = fill[usize::try_from(self.below(4)).unwrap()];
        let unit = match fill {
            Fill::Evenly => 1 + self.below(40_000_000_000),
            _ => 1,
        };
        let capacity = unit * self.below(20);
        Window {
            fill,
            unit,
            price: 0,
            capacity,
            deepest: capacity * (1 + self.below(2)),
        }
    }
}

#[tokio::test]
async fn the_script_and_the_core_agree_on_random_walks() {
    const TIME: &str = "local time = redis.call('TIME')\nlocal now = time[1] * 1000000 + time[2]\n";
    const EXPIRY: &str = ", 'PX', string.format('%.0f', math.ceil(keep / 1000))";
    assert!(SCRIPT.contains(TIME) && SCRIPT.contains(EXPIRY));
    let script = SCRIPT
        .replace(TIME, "local now = tonumber(table.remove(ARGV))\n")
        .replace(EXPIRY, "");
    let server = Server::start().await;
    let mut connection = server.connection().await.unwrap();
    let mut numbers = Numbers(7);
    let (mut allowed, mut refused) = (0, 0);
    for walk in 0..40 {
        let key = format!("walk {walk}");
        let count = 1 + numbers.below(MOST as u64);
        let list: Vec<Window> = (0..count).map(|_| numbers.window()).collect();
        let mut now = 1_700_000_000_000_000 + numbers.below(200_000_000_000_000);
        let mut text: Option<String> = None;
        for step in 0..40 {
            let cost = numbers.below(5) * numbers.below(5);
            let priced = list.iter().map(|window| Window {
                price: window.unit * cost,
                ..*window
            });
            let ask = Ask::new(key.clone(), priced.collect(), numbers.below(5) == 0);
            let expected = ask.decide_at(now, text.as_deref());
            let mut command = command("EVAL", &script, &ask);
            let value: Value = command.arg(now).query_async(&mut connection).await.unwrap();
            let answer = answer_of(&value, list.len()).unwrap();
            assert_eq!(
                answer, expected.answer,
                "{walk} {step} {now} {ask:?} {text:?}"
            );
            text = expected.write.map(|(text, _)| text).or(text);
            let kept: Option<String> = redis::cmd("GET")
                .arg(&key)
                .query_async(&mut connection)
                .await
                .unwrap();
            assert_eq!(kept, text, "{walk} {step} {now} {ask:?}");
            if answer.allowed {
                allowed += 1;
            } else {
                refused += 1;
            }
            // Also not at all, and back, as a new server's clock may be.
            match numbers.below(20) {
                0 => now += numbers.below(40 * 86_400_000_000),
                1 => now -= numbers.below(86_400_000_000),
                _ => now += numbers.below(40_000_000_000),
            }
        }
    }
    assert!(allowed > 200 && refused > 200, "{allowed} {refused}");
}

#[tokio::test]
async fn a_key_lives_until_its_bucket_is_full_and_a_flushed_script_is_sent_again() {
    let server = Server::start().await;
    let mut connection = server.connection().await.unwrap();
    let store = Redis::url(server.url()).timeout(Duration::from_mins(1));
    let window = Window {
        fill: Fill::Evenly,
        unit: 600_000_000,
        price: 600_000_000,
        capacity: 1_200_000_000,
        deepest: 1_200_000_000,
    };
    let ask = Ask::new(
        "prox:{api:00}".into(),
        [window].into_iter().collect(),
        false,
    );
    for allowed in [true, true, false, false] {
        let answer = LimitStore::ask(&store, &ask).await.unwrap();
        assert_eq!(answer.allowed, allowed);
        let lives: u64 = redis::cmd("PTTL")
            .arg(ask.key())
            .query_async(&mut connection)
            .await
            .unwrap();
        assert!((500_000..=1_200_000).contains(&lives), "{lives}");
        let _: () = redis::cmd("SCRIPT")
            .arg("FLUSH")
            .query_async(&mut connection)
            .await
            .unwrap();
    }
}

#[test]
fn a_url_is_checked_and_never_shown() {
    let store = |url: &str| Redis::url(url.parse().unwrap());
    assert_eq!(
        LimitStore::problem(&store("redis://:hunter2@10.0.0.1:6379/0")),
        None
    );
    let problem = LimitStore::problem(&store("http://:hunter2@10.0.0.1")).unwrap();
    assert!(problem.starts_with("the URL of `Redis` is malformed") && !problem.contains("hunter2"));
    let shown = format!("{:?}", store("redis://:hunter2@10.0.0.1"));
    assert!(!shown.contains("hunter2"), "{shown}");
    if cfg!(feature = "tls") {
        assert_eq!(LimitStore::problem(&store("rediss://10.0.0.1")), None);
    }
}

#[test]
fn an_answer_of_another_form_is_an_error() {
    let int = Value::Int;
    assert!(
        answer_of(&Value::Array(vec![int(1), int(5), int(0)]), 1)
            .unwrap()
            .allowed
    );
    for value in [
        Value::Nil,
        Value::Int(1),
        Value::Array(vec![]),
        Value::Array(vec![int(1)]),
        Value::Array(vec![int(1), int(5)]),
        Value::Array(vec![int(1), int(-5), int(0)]),
        Value::Array(vec![int(1), Value::Nil, int(0)]),
        Value::Array(vec![int(1), int(5), int(0), int(0), int(0)]),
    ] {
        assert!(answer_of(&value, 1).is_err(), "{value:?}");
    }
}
