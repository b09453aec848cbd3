//! Who may ask what. Reading: root, the hardware group, readers and operators. Changing: root and operators.
//!
//! The hardware group is udev's: whoever may drive the relays by hand may as well ask where they are. The
//! reverse must not hold, so people and programs that only look belong in the readers' group.

use nix::unistd::{Gid, Group, Uid, User, getgrouplist};

use crate::node::Actor;

/// The group that udev gives the devices to.
pub const HARDWARE: &str = "fencepost";
/// Group that may read, unless configured otherwise.
pub const READERS: &str = "fencepost-readers";
/// Group that may change, unless configured otherwise.
pub const OPERATORS: &str = "fencepost-operators";

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rights {
    /// Nothing.
    None,
    /// Ask.
    Read,
    /// Ask and order.
    Change,
}

/// Ids of the groups, as far as this machine has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Groups {
    /// May read, since it can do worse.
    pub hardware: Option<u32>,
    /// May read.
    pub readers: Option<u32>,
    /// May change.
    pub operators: Option<u32>,
}

impl Groups {
    /// Look the names up. A group that does not exist gives nobody a right.
    pub fn look_up(readers: &str, operators: &str) -> Self {
        Self {
            hardware: group_id(HARDWARE),
            readers: group_id(readers),
            operators: group_id(operators),
        }
    }

    /// The decision.
    pub fn rights(&self, uid: u32, groups: &[u32]) -> Rights {
        let member = |group: Option<u32>| group.is_some_and(|group| groups.contains(&group));
        if uid == 0 || member(self.operators) {
            Rights::Change
        } else if member(self.readers) || member(self.hardware) {
            Rights::Read
        } else {
            Rights::None
        }
    }
}

fn group_id(name: &str) -> Option<u32> {
    match Group::from_name(name) {
        Ok(group) => group.map(|group| group.gid.as_raw()),
        Err(error) => {
            tracing::warn!("group {name} cannot be looked up: {error}; it gives no rights");
            None
        }
    }
}

/// Somebody at the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asker {
    /// For the record.
    pub actor: Actor,
    /// All groups.
    pub groups: Vec<u32>,
}

/// Name and groups behind a user id. The socket tells the primary group only, the others come from the
/// user database; that may be a directory service, so this can take long and must not run on an
/// asynchronous thread. What cannot be found out gives no rights.
pub fn identify(uid: u32, gid: u32, pid: i32) -> Asker {
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    let mut groups = vec![gid];
    if let Some(user) = &user
        && let Ok(name) = std::ffi::CString::new(user.name.as_str())
        && let Ok(listed) = getgrouplist(&name, Gid::from_raw(gid))
    {
        groups.extend(listed.into_iter().map(Gid::as_raw));
    }
    let name = user.map_or_else(|| uid.to_string(), |user| user.name);
    Asker {
        actor: Actor { uid, pid, name },
        groups,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUPS: Groups = Groups {
        hardware: Some(100),
        readers: Some(200),
        operators: Some(201),
    };

    #[test]
    fn table_of_rights() {
        let table: [(u32, &[u32], Rights); 8] = [
            (0, &[], Rights::Change),
            (0, &[0], Rights::Change),
            (1000, &[1000], Rights::None),
            (1000, &[1000, 200], Rights::Read),
            (1000, &[1000, 100], Rights::Read),
            (1000, &[1000, 201], Rights::Change),
            (1000, &[200, 201], Rights::Change),
            // A user id equal to a group's id is a coincidence.
            (201, &[1000], Rights::None),
        ];
        for (uid, groups, wanted) in table {
            assert_eq!(
                GROUPS.rights(uid, groups),
                wanted,
                "uid {uid}, groups {groups:?}"
            );
        }
    }

    #[test]
    fn a_group_that_does_not_exist_gives_no_rights() {
        let none = Groups::look_up("no-such-group-a", "no-such-group-b");
        assert_eq!((none.readers, none.operators), (None, None));
        assert_eq!(none.rights(1000, &[0, 1000]), Rights::None);
        assert_eq!(none.rights(0, &[]), Rights::Change);
    }

    #[test]
    fn an_unknown_user_has_its_id_for_a_name_and_one_group() {
        let asker = identify(4_000_000_000, 4_000_000_001, 1);
        assert_eq!(asker.actor.name, "4000000000");
        assert_eq!(asker.groups, [4_000_000_001]);
    }
}
