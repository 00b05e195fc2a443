//! The gateway of the interoperability tests: a route for each kind of upstream, with or without TLS for clients.
//!
//! With `--certificates FOLDER` it only writes the certificates that the tests need.

use std::{error::Error, fs, net::SocketAddr, path::PathBuf};

use prox::{Endpoint, Pem, Server, Tls, UpstreamTls};
use prox_tests::{certs::Authority, flags::flag};

fn main() -> Result<(), Box<dyn Error>> {
    if let Ok(folder) = flag::<PathBuf>("certificates", None) {
        let authority = Authority::new("prox interop");
        let issued = authority.issue(&["localhost", "127.0.0.1"]);
        fs::write(folder.join("authority.pem"), authority.pem())?;
        fs::write(folder.join("certificate.pem"), issued.certificate)?;
        fs::write(folder.join("key.pem"), issued.key)?;
        return Ok(());
    }
    let listen: SocketAddr = flag("listen", None)?;
    let h1: Endpoint = flag("h1", None)?;
    let h2: Endpoint = flag("h2", None)?;
    let tls: Endpoint = flag("tls", None)?;
    let websockets: Endpoint = flag("websockets", None)?;
    let grpc: Endpoint = flag("grpc", None)?;
    let folder: PathBuf = flag("folder", None)?;
    let file = |name: &str| Pem::file(folder.join(name));
    let trust = || UpstreamTls::new().roots(file("authority.pem"));
    let (trust_h1, trust_h2) = (trust(), trust());
    let (tls_h1, tls_h2) = (tls.clone(), tls);
    let gateway = prox::gateway! {
        "/h1" => h1,
        "/h2" => cluster(rr, [h2]).http2(),
        "/tls-h1" => cluster(rr, [tls_h1]).tls(trust_h1),
        "/tls-h2" => cluster(rr, [tls_h2]).http2().tls(trust_h2),
        "/websockets" => websockets,
        "/interop.Test" => cluster(rr, [grpc]).http2(),
    };
    let mut server = Server::new(gateway).address(listen).workers(1);
    if flag("secure", Some(false))? {
        server = server.tls(Tls::pem(file("certificate.pem"), file("key.pem")));
    }
    server.run()?;
    Ok(())
}
