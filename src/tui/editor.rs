//! The user's editor, in the terminal that the program lends it.

use std::{ffi::OsString, path::Path};

use tokio::process::Command;

/// The editor that the environment names, as a command of the shell: it may have arguments. `vi` is everywhere.
fn named(var: impl Fn(&str) -> Option<OsString>) -> OsString {
    let set = |name| var(name).filter(|editor| !editor.to_string_lossy().trim().is_empty());
    set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(|| "vi".into())
}

/// The command that opens a file in it.
pub fn command(path: &Path) -> Command {
    let mut script = named(|name| std::env::var_os(name));
    script.push(" \"$1\"");
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).arg("editor").arg(path);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_visual_editor_comes_first_and_vi_last() {
        let named = |visual: &str, editor: &str| {
            let vars = [("VISUAL", visual), ("EDITOR", editor)];
            named(|name| vars.iter().find(|(key, value)| *key == name && !value.is_empty()).map(|(_, v)| v.into()))
        };
        assert_eq!(named("code --wait", "ed"), "code --wait");
        assert_eq!(named(" ", "ed"), "ed");
        assert_eq!(named("", ""), "vi");
    }
}
