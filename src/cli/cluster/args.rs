//! The arguments of `memnode cluster`.

use std::path::PathBuf;

use clap::Subcommand;

/// What to do about the cluster.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ClusterCommand {
    /// Make this file the first of a cluster, and show the cluster's id
    Init,
    /// Show how this node and its peers stand
    Status,
    /// Show the digest of everything that this node holds
    Digest,
    /// Say whether nodes hold the same, and what differs
    Compare {
        /// Addresses of nodes, such as http://node-2:8000; one alone is compared with this node
        #[arg(value_name = "URL", required = true, num_args = 1..=32)]
        urls: Vec<String>,
        /// Certificates (PEM) of who vouches for nodes of https; default: whom this system trusts
        #[arg(long, value_name = "FILE")]
        ca: Option<PathBuf>,
    },
    /// Make this file part of another cluster; its node must be stopped
    Join {
        /// The cluster's id, as `memnode cluster status` shows it on its nodes
        #[arg(value_name = "ID")]
        id: String,
        /// Do it although the file holds memories: every node of that cluster gets them
        #[arg(short, long)]
        yes: bool,
    },
    /// Keep nothing for a node any more; when it is heard again it is back
    Forget {
        /// The node's name
        #[arg(value_name = "NODE")]
        node: String,
    },
    /// Make a snapshot for nodes that join
    Snapshot,
    /// Show writes that cannot be applied here; try them again, or give one up
    Quarantine {
        #[command(subcommand)]
        command: Option<QuarantineCommand>,
    },
}

/// What to do about writes that cannot be applied.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum QuarantineCommand {
    /// Try again
    Retry {
        /// The write; all of them when left out
        #[arg(value_name = "WRITE")]
        write: Option<String>,
    },
    /// Give a write up on all nodes: it is waited for no longer
    Void {
        /// The write, as the list shows it
        #[arg(value_name = "WRITE")]
        write: String,
    },
}
