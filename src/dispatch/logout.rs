//! Whether the machine ends what a user leaves running at logout, and what helps against it.
//!
//! A session of one's own (setsid) outlives the terminal. systemd-logind with KillUserProcesses=yes kills the whole
//! session scope all the same; then only a process of the user's own systemd survives, and only with lingering on.

use std::process::{Command, Stdio};

/// What this machine does at logout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logout {
    /// systemd-logind is there.
    pub logind: bool,
    /// It kills what the user has left running.
    pub kills: bool,
    /// The user's own systemd goes on after the last logout.
    pub lingers: bool,
}

/// How a process is made to outlive the user's session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A session of its own is enough.
    Session,
    /// It must be started by the user's own systemd.
    UserManager,
    /// It cannot, until lingering is on.
    None,
}

impl Logout {
    /// Asks the machine. A machine without systemd answers at once.
    pub fn ask() -> Logout {
        const MANAGER: [&str; 3] =
            ["org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager"];
        let kills = said(Command::new("busctl").arg("get-property").args(MANAGER).arg("KillUserProcesses"));
        let kills_all = kills.as_deref() == Some("b true");
        let lingers = || {
            let user = rustix::process::getuid().as_raw().to_string();
            said(Command::new("loginctl").args(["show-user", &user, "-p", "Linger", "--value"])).as_deref()
                == Some("yes")
        };
        Logout { logind: kills.is_some(), kills: kills_all, lingers: kills_all && lingers() }
    }

    /// How to outlive the session here.
    pub fn way(self) -> Way {
        match (self.kills, self.lingers) {
            (false, _) => Way::Session,
            (true, true) => Way::UserManager,
            (true, false) => Way::None,
        }
    }
}

fn said(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_own_systemd_is_needed_only_where_sessions_are_killed_and_helps_only_where_it_stays() {
        let way = |kills, lingers| Logout { logind: true, kills, lingers }.way();
        assert_eq!([way(false, false), way(false, true)], [Way::Session; 2]);
        assert_eq!((way(true, true), way(true, false)), (Way::UserManager, Way::None));
    }
}
