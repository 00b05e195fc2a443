//! The program that expands a gateway.

/// Who expands the gateway, and so what has to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// rust-analyzer reads the mirror alone, again at every key.
    Editor,
    /// A compiler reads what runs.
    Compiler,
    /// Some other program may be either.
    Unknown,
}

impl Reader {
    /// The one of this process.
    pub(crate) fn now() -> Self {
        if !proc_macro::is_available() {
            return Self::Unknown;
        }
        let program = std::env::current_exe().unwrap_or_default();
        let name = program.file_stem().unwrap_or_default().to_string_lossy();
        match &*name {
            name if name.starts_with("rust-analyzer") => Self::Editor,
            "rustc" | "rustdoc" | "clippy-driver" | "miri" => Self::Compiler,
            _ => Self::Unknown,
        }
    }
}
