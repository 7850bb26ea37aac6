//! Memories that say nearly the same.

use super::Service;
use super::recall::Snapshot;
use crate::auth::Principal;
use crate::index::{Vectors, dot};
use crate::memory::{Filter, Memory, NamespaceSet};
use crate::store::StoreError;
use crate::{Error, Result};

/// Most memories that are compared, newest first: every pair is looked at.
const COMPARED_COUNT_MAX: usize = 5_000;

impl Service {
    /// Groups of memories whose cosine similarity is at least `threshold`, each newest first. The
    /// newest 5,000 memories of the namespaces are compared.
    ///
    /// # Errors
    /// `InvalidInput` for a threshold outside 0 to 1; `Forbidden`; those of the file.
    pub async fn near_duplicates(
        &self,
        who: &Principal,
        namespaces: &NamespaceSet,
        threshold: f64,
    ) -> Result<Vec<Vec<Memory>>> {
        if !(0.0..=1.0).contains(&threshold) {
            return Err(Error::invalid("threshold must be from 0 to 1").reason("out_of_range"));
        }
        let filter = Filter { namespaces: who.readable(namespaces)?, ..Filter::default() };
        let (memories, vectors) = self
            .read(move |reader| {
                let mut memories = Vec::new();
                let mut vectors = Vec::new();
                for located in reader.list(&filter, None, 0, COMPARED_COUNT_MAX)? {
                    if let Some(vector) = Snapshot(reader).vector(located.row)? {
                        memories.push(located.memory);
                        vectors.push(vector);
                    }
                }
                Ok::<_, StoreError>((memories, vectors))
            })
            .await?;
        let grouped = tokio::task::spawn_blocking(move || groups(&vectors, threshold as f32));
        let groups = grouped.await.map_err(|error| Error::internal("comparing failed", error))?;
        let take = |group: Vec<usize>| group.into_iter().map(|n| memories[n].clone()).collect();
        Ok(groups.into_iter().map(take).collect())
    }
}

/// Places of vectors that belong together, directly or through others; groups of two and more.
fn groups(vectors: &[Vec<f32>], threshold: f32) -> Vec<Vec<usize>> {
    let mut parent: Vec<usize> = (0..vectors.len()).collect();
    for (a, vector) in vectors.iter().enumerate() {
        for (b, other) in vectors.iter().enumerate().skip(a + 1) {
            if dot(vector, other) >= threshold {
                let (a, b) = (root(&mut parent, a), root(&mut parent, b));
                parent[a.max(b)] = a.min(b);
            }
        }
    }
    let mut groups = vec![Vec::new(); vectors.len()];
    for place in 0..vectors.len() {
        groups[root(&mut parent, place)].push(place);
    }
    groups.retain(|group| group.len() > 1);
    groups
}

/// The first of a place's group, with the way there shortened.
fn root(parent: &mut [usize], mut place: usize) -> usize {
    while parent[place] != place {
        parent[place] = parent[parent[place]];
        place = parent[place];
    }
    place
}

#[cfg(test)]
mod tests {
    use super::groups;

    #[test]
    fn likeness_is_passed_on() {
        let at = |degrees: f32| vec![degrees.to_radians().cos(), degrees.to_radians().sin()];
        let vectors = [at(0.0), at(90.0), at(10.0), at(20.0), at(180.0)];
        let threshold = 12.0_f32.to_radians().cos();
        assert_eq!(groups(&vectors, threshold), [vec![0, 2, 3]]);
        assert!(groups(&vectors, 0.9999).is_empty());
    }
}
