//! What one more object costs, of a program that can only be measured as a whole: the program runs with a few objects and
//! with more, and the difference leaves out what its start and end cost.

use std::path::{Path, PathBuf};

use anyhow::Result;
use cde_sandbox::cde::Remote;
use serde_json::Value;

use super::patience;
use crate::crowd::Crowd;
use crate::kind::Each;
use crate::script;
use crate::stage::Stage;
use crate::statistics::count;
use crate::traffic::Traffic;

/// The part of the objects with which the program runs first.
const FIRST: usize = 6;

/// The two runs of a program.
pub(super) struct Runs<'a> {
    stage: &'a Stage,
    like: Each<Value>,
    /// The number of objects of each kind.
    pub(super) sizes: [usize; 2],
}

impl<'a> Runs<'a> {
    /// Prepares runs over up to `each` new objects of each kind.
    ///
    /// # Errors
    /// If the new objects cannot be created.
    pub(super) async fn prepare(stage: &'a Stage, each: usize) -> Result<Self> {
        Ok(Self { stage, like: script::new_objects(stage).await?, sizes: [(each / FIRST).max(1), each] })
    }

    /// Stores new objects, and starts a CDE that knows them.
    ///
    /// # Errors
    /// If they cannot be stored.
    pub(super) async fn begin(&self, each: usize) -> Result<(Crowd, Remote)> {
        let (namespace, cde) = (self.stage.namespace("cost").await?, self.stage.cde().await?);
        let crowd = Crowd::new(&namespace, each);
        crowd.known_to(&cde).await?;
        crowd.store(self.stage, &self.like, |_, _| ()).await?;
        Ok((crowd, cde))
    }

    /// Lets an operator process new objects, one at a time, and stops it. Returns the file with its output.
    ///
    /// # Errors
    /// If it does not finish in time, or does not stop cleanly.
    pub(super) async fn operate(&self, program: &Path, each: usize) -> Result<PathBuf> {
        let (crowd, cde) = self.begin(each).await?;
        let flags = ["--rate", "0", "--concurrency", "1"];
        let operator = self.stage.operator_program(program, &cde, &crowd.namespace, &flags).await?;
        self.stage.all_succeeded(&crowd.namespace, patience(crowd.len())).await?;
        Traffic::with_events(self.stage, &crowd.namespace, crowd.len()).await?;
        let log = operator.log.clone();
        operator.stop().await?;
        Ok(log)
    }

    /// Returns what one more object adds to the result of a run.
    pub(super) fn difference(&self, [few, many]: [f64; 2]) -> f64 {
        let [fewer, more] = self.sizes.map(|each| 2.0 * count(each));
        (many - few) / (more - fewer)
    }
}
