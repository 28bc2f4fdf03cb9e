//! The contracts as lists, for a test harness that is not Rust's.

use std::{fmt, pin::Pin};

use crate::Fixture;

/// Whether a sentence of a contract applies to a store: what those answer that do not apply to every store.
///
/// A sentence that does not apply has tested nothing, and fails unless the fixture [names it](Fixture::exempt).
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Applies {
    Yes,
    No,
}

/// A sentence that applies to every store answers nothing.
impl From<()> for Applies {
    fn from((): ()) -> Self {
        Self::Yes
    }
}

/// A sentence of a contract as a test.
#[derive(Clone, Copy)]
pub struct ContractTest {
    /// The name that [`store_contract!`](crate::store_contract) gives it.
    pub name: &'static str,
    test: Test,
}

type Test = for<'a> fn(&'a Fixture) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

impl ContractTest {
    #[doc(hidden)]
    #[must_use]
    pub const fn new(name: &'static str, test: Test) -> Self {
        Self { name, test }
    }

    /// Tests a new and empty store.
    ///
    /// # Panics
    /// When it does not keep the sentence, or does not say rightly whether it [applies](Fixture::exempt).
    pub async fn run(&self, fixture: &Fixture) {
        (self.test)(fixture).await;
    }
}

impl fmt::Debug for ContractTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// The tests of [`store_contract!`](crate::store_contract), for a harness that can, unlike `#[test]`, leave some out while
/// it runs: where there is no server.
#[must_use]
pub fn store_tests() -> Vec<ContractTest> {
    crate::store_sentences!(contract_list).into()
}

/// The tests of [`admin_contract!`](crate::admin_contract).
#[must_use]
pub fn admin_tests() -> Vec<ContractTest> {
    crate::admin_sentences!(contract_list).into()
}
