//! Ids under which a request may have left a record that is to be destroyed before the response.

use super::fault::{Fault, planted};
use crate::wire::sid::Sid;

#[derive(Clone, Default)]
#[cfg_attr(test, derive(Hash))]
pub(super) struct Leftovers {
    all: Vec<Sid>,
    /// Of these the ids that were never a session's, as far as anybody was told: no cookie ever had them.
    nobodys: Vec<Sid>,
}

impl Leftovers {
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn contains(&self, sid: &Sid) -> bool {
        self.all.contains(sid)
    }

    pub(super) fn add(&mut self, sid: &Sid) {
        self.nobodys.retain(|left| left != sid);
        if !self.contains(sid) {
            self.all.push(sid.clone());
        }
    }

    /// One that nobody has; unless it is left already.
    pub(super) fn add_nobodys(&mut self, sid: &Sid) {
        if !self.contains(sid) {
            self.all.push(sid.clone());
            self.nobodys.push(sid.clone());
        }
    }

    pub(super) fn remove(&mut self, sid: &Sid) {
        self.all.retain(|left| left != sid);
        self.nobodys.retain(|left| left != sid);
    }

    pub(super) fn first(&self) -> Option<&Sid> {
        self.all.first()
    }

    /// What is destroyed next: first what somebody may come with.
    pub(super) fn next(&self) -> Option<&Sid> {
        self.all.iter().find(|sid| !self.is_nobodys(sid)).or(self.first())
    }

    pub(super) fn is_nobodys(&self, sid: &Sid) -> bool {
        self.nobodys.contains(sid) || planted(Fault::AnybodysForgiven)
    }

    /// One could not be destroyed, and none of those that nobody has will be.
    pub(super) fn forgive_nobodys(&mut self) {
        let forgiven: Vec<Sid> = self.all.iter().filter(|sid| self.is_nobodys(sid)).cloned().collect();
        self.all.retain(|sid| !forgiven.contains(sid));
    }
}
