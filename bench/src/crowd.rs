//! A large number of objects, each for its own connector.

use anyhow::Result;
use cde_sandbox::cde::{Connector, Remote};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::kind::{Each, Kind};
use crate::stage::Stage;

/// The number of objects or connectors that are stored in one batch, and are in memory twice meanwhile.
const AT_ONCE: usize = 5000;

/// Objects of both kinds, alternating, all in one namespace.
pub(crate) struct Crowd {
    pub(crate) namespace: String,
    members: Vec<Member>,
}

/// One object of a crowd.
pub(crate) struct Member {
    pub(crate) kind: Kind,
    pub(crate) number: usize,
    connector: Uuid,
}

impl Crowd {
    /// Returns `each` objects of each kind, not stored yet.
    pub(crate) fn new(namespace: &str, each: usize) -> Self {
        let member = |number, kind| Member { kind, number, connector: Uuid::new_v4() };
        let members = (0..each).flat_map(|number| Kind::ALL.map(|kind| member(number, kind))).collect();
        Self { namespace: namespace.to_owned(), members }
    }

    /// Returns the number of objects of both kinds.
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// Puts the connectors of all objects into the CDE, in a state in which their requests succeed.
    ///
    /// # Errors
    /// If the CDE does not accept them.
    pub(crate) async fn known_to(&self, cde: &Remote) -> Result<()> {
        for members in self.members.chunks(AT_ONCE) {
            let connectors: Vec<Connector> =
                members.iter().map(|member| member.kind.willing(member.connector)).collect();
            cde.put(&connectors).await?;
        }
        Ok(())
    }

    /// Stores all objects as copies of the object of their kind in `like`, each modified by `change`, and waits until
    /// the API server serves them.
    ///
    /// # Errors
    /// If etcd rejects them, or the API server does not serve them in time.
    pub(crate) async fn store(
        &self,
        stage: &Stage,
        like: &Each<Value>,
        change: impl Fn(&Member, &mut Value),
    ) -> Result<()> {
        for members in self.members.chunks(AT_ONCE) {
            let objects: Vec<(Kind, Value)> = members
                .iter()
                .map(|member| {
                    let mut object = self.object(member, like.of(member.kind));
                    change(member, &mut object);
                    (member.kind, object)
                })
                .collect();
            stage.store.put(&objects).await?;
            for (kind, object) in objects.iter().rev().take(Kind::ALL.len()) {
                stage.serves(*kind, object).await?;
            }
        }
        Ok(())
    }

    fn object(&self, member: &Member, like: &Value) -> Value {
        let mut object = like.clone();
        let id = Uuid::new_v4();
        // The suffix keeps the names of several crowds in one namespace apart.
        let name = format!("{}-{:05}-{}", member.kind.word(), member.number, &id.simple().to_string()[..6]);
        object["metadata"]["name"] = name.into();
        object["metadata"]["namespace"] = self.namespace.clone().into();
        object["metadata"]["uid"] = json!(id);
        object["spec"]["connectorID"] = json!(member.connector);
        if let Some(operation) = object.pointer_mut("/status/operation/id") {
            *operation = json!(Uuid::new_v4());
        }
        object
    }
}
