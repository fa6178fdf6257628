/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/disk_fields.h"

#include "storage/disk.h"

static const struct qb_field signature_fields[] = {
	QB_F(qb_signature, type, "type", STR, .flags = QB_FIELD_REQUIRED,
	     .doc = "ext4, LVM2_member, gpt..."),
	QB_F(qb_signature, usage, "usage", STR,
	     .doc = "filesystem, raid, crypto, other or partition-table."),
	QB_F(qb_signature, uuid, "uuid", STR, .doc = "Its UUID, where the type has one."),
	QB_F(qb_signature, offset, "offset_bytes", U64, .doc = "Where on the device it stands."),
};

const struct qb_type qb_signature_type = {
	.name = "signature",
	.size = sizeof(struct qb_signature),
	.fields = signature_fields,
	.n_fields = QB_ARRAY_SIZE(signature_fields),
	.doc = "What was recognised on a disk.",
};

static const struct qb_field partition_fields[] = {
	QB_F(qb_partition, name, "name", STR, .flags = QB_FIELD_REQUIRED, .doc = "Kernel name."),
	QB_F(qb_partition, path, "path", STR, .doc = "Device node."),
	QB_F(qb_partition, devno, "devno", STR, .doc = "Major and minor number."),
	QB_F(qb_partition, number, "number", U64, .doc = "Number in its table."),
	QB_F(qb_partition, start_bytes, "start_bytes", U64, .doc = "Where it begins."),
	QB_F(qb_partition, size_bytes, "size_bytes", U64, .doc = "Its size."),
	QB_F(qb_partition, label, "label", STR, .doc = "Name in its table."),
	QB_F(qb_partition, uuid, "uuid", STR, .doc = "UUID in its table."),
	QB_F(qb_partition, fs_type, "fs_type", STR, .doc = "File system on it."),
	QB_F(qb_partition, fs_uuid, "fs_uuid", STR, .doc = "UUID of the file system."),
	QB_F(qb_partition, fs_size_bytes, "fs_size_bytes", U64,
	     .doc = "Size of an XFS or ext4; 0: unknown."),
	QB_F(qb_partition, mountpoint, "mountpoint", STR, .doc = "Where it is mounted."),
};

const struct qb_type qb_partition_type = {
	.name = "partition",
	.size = sizeof(struct qb_partition),
	.fields = partition_fields,
	.n_fields = QB_ARRAY_SIZE(partition_fields),
	.doc = "A partition.",
};

static const char *const mark_states[] = {
	[QB_MARK_NONE] = "none",
	[QB_MARK_PENDING] = "pending",
	[QB_MARK_COMMITTING] = "committing",
	[QB_MARK_READY] = "ready",
	NULL,
};

static const struct qb_field mark_fields[] = {
	QB_F(qb_mark, state, "state", ENUM, .names = mark_states,
	     .doc = "pending: carving it was not finished."),
	QB_F(qb_mark, pool, "pool", STR, .doc = "The pool it was carved for."),
	QB_F(qb_mark, uuid, "uuid", STR, .doc = "GUID of the disk."),
	QB_F(qb_mark, ours, "ours", BOOL,
	     .doc = "It is what this machine, that pool and this disk give."),
	QB_F(qb_mark, end_bytes, "end_bytes", U64,
	     .doc = "Where the table says that its partition ends; 0: it does not."),
	QB_F(qb_mark, only, "only", BOOL, .doc = "Nothing else is on the disk."),
};

const struct qb_type qb_mark_type = {
	.name = "mark",
	.size = sizeof(struct qb_mark),
	.fields = mark_fields,
	.n_fields = QB_ARRAY_SIZE(mark_fields),
	.doc = "The mark by which qubi-agent knows a disk that it carved.",
};

static const struct qb_field reason_fields[] = {
	QB_F(qb_reason, code, "code", STR, .flags = QB_FIELD_REQUIRED, .doc = "A stable word."),
	QB_F(qb_reason, evidence, "evidence", STR, .flags = QB_FIELD_REQUIRED,
	     .doc = "What was seen."),
};

static const struct qb_type reason_type = {
	.name = "reason",
	.size = sizeof(struct qb_reason),
	.fields = reason_fields,
	.n_fields = QB_ARRAY_SIZE(reason_fields),
	.doc = "Something that speaks against writing to the disk.",
};

static const struct qb_field disk_fields[] = {
	QB_F(qb_disk, name, "name", STR, .flags = QB_FIELD_REQUIRED, .doc = "Kernel name."),
	QB_F(qb_disk, path, "path", STR, .flags = QB_FIELD_REQUIRED, .doc = "Device node."),
	QB_F(qb_disk, devno, "devno", STR, .doc = "Major and minor number."),
	QB_F(qb_disk, wwid, "wwid", STR, .doc = "World wide identifier, with its prefix."),
	QB_F(qb_disk, serial, "serial", STR, .doc = "Serial number."),
	QB_F(qb_disk, model, "model", STR, .doc = "Model."),
	QB_F(qb_disk, by_path, "by_path", STR, .doc = "Where it is plugged in, as ID_PATH."),
	QB_F(qb_disk, links, "links", STRS, .doc = "Its names below /dev/disk."),
	QB_F(qb_disk, size_bytes, "size_bytes", U64, .doc = "Size."),
	QB_F(qb_disk, logical_sector_bytes, "logical_sector_bytes", U64, .doc = "Logical sector."),
	QB_F(qb_disk, physical_sector_bytes, "physical_sector_bytes", U64,
	     .doc = "Physical sector."),
	QB_F(qb_disk, transport, "transport", STR, .doc = "sata, sas, nvme, virtio, usb..."),
	QB_F(qb_disk, rotational, "rotational", TRI, .doc = "It turns."),
	QB_F(qb_disk, removable, "removable", BOOL, .doc = "Its medium can be taken out."),
	QB_F(qb_disk, read_only, "read_only", BOOL, .doc = "It cannot be written."),
	QB_F(qb_disk, zoned, "zoned", STR, .doc = "host-managed or host-aware; null for none."),
	QB_F(qb_disk, diskseq, "diskseq", U64, .doc = "The kernel's number of this attachment."),
	QB_F(qb_disk, backing, "backing", STR, .doc = "What a loop or zram device stands on."),
	QB_F(qb_disk, holders, "holders", STRS, .doc = "Devices that stand on it."),
	QB_F(qb_disk, mountpoints, "mountpoints", STRS, .doc = "Where it or a part is mounted."),
	QB_F(qb_disk, swap, "swap", BOOL, .doc = "It or a part is swap in use."),
	QB_F_LIST(qb_disk, signatures, "signatures", &qb_signature_type, .doc = "What is on it."),
	QB_F_LIST(qb_disk, partitions, "partitions", &qb_partition_type, .doc = "Its partitions."),
	QB_F(qb_disk, mark, "mark", OBJECT, .of = &qb_mark_type, .doc = "The mark on it."),
	QB_F(qb_disk, one_of_paths, "one_of_paths", BOOL,
	     .doc = "It is a path to a disk that has others."),
	QB_F(qb_disk, readable, "readable", TRI, .doc = "It was read to its end."),
	QB_F(qb_disk, error, "error", STR, .doc = "Why it cannot be read."),
	QB_F(qb_disk, sensor, "sensor", TRI, .doc = "It tells its temperature."),
	QB_F(qb_disk, celsius, "celsius", I64, .doc = "Its temperature."),
	QB_F(qb_disk, celsius_limit, "celsius_limit", I64,
	     .doc = "The temperature that it stands at most; 0: not told."),
	QB_F(qb_disk, too_hot, "too_hot", BOOL, .doc = "It warns of its temperature itself."),
	QB_F(qb_disk, available, "available", BOOL, .doc = "Nothing speaks against writing to it."),
	QB_F_LIST(qb_disk, reasons, "reasons", &reason_type,
		  .doc = "Everything that speaks against it."),
};

const struct qb_type qb_disk_type = {
	.name = "disk",
	.size = sizeof(struct qb_disk),
	.fields = disk_fields,
	.n_fields = QB_ARRAY_SIZE(disk_fields),
	.doc = "A disk, and whether a pool may have it.",
};

static const struct qb_field mapping_fields[] = {
	QB_F(qb_mapping, name, "name", STR, .flags = QB_FIELD_REQUIRED, .doc = "Kernel name."),
	QB_F(qb_mapping, path, "path", STR, .doc = "Device node."),
	QB_F(qb_mapping, devno, "devno", STR, .doc = "Major and minor number."),
	QB_F(qb_mapping, dm_name, "dm_name", STR,
	     .doc = "Name of the device mapper's; null for an md array."),
	QB_F(qb_mapping, suspended, "suspended", TRI, .doc = "Whoever uses it waits."),
	QB_F(qb_mapping, readable, "readable", TRI, .doc = "Its first block was read."),
	QB_F(qb_mapping, error, "error", STR, .doc = "Why it cannot be read."),
	QB_F(qb_mapping, lvm, "lvm", BOOL, .doc = "A physical volume of LVM is on it."),
	QB_F(qb_mapping, disks, "disks", STRS, .doc = "The disks that it stands on."),
};

const struct qb_type qb_mapping_type = {
	.name = "mapping",
	.size = sizeof(struct qb_mapping),
	.fields = mapping_fields,
	.n_fields = QB_ARRAY_SIZE(mapping_fields),
	.doc = "A block device that is made of others.",
};

static const struct qb_field logical_volume_fields[] = {
	QB_F(qb_logical_volume, name, "name", STR, .flags = QB_FIELD_REQUIRED, .doc = "Name."),
	QB_F(qb_logical_volume, size_bytes, "size_bytes", U64, .doc = "Size."),
	QB_F(qb_logical_volume, tags, "tags", STRS, .doc = "Its tags."),
};

static const struct qb_type logical_volume_type = {
	.name = "logical-volume",
	.size = sizeof(struct qb_logical_volume),
	.fields = logical_volume_fields,
	.n_fields = QB_ARRAY_SIZE(logical_volume_fields),
	.doc = "A logical volume of LVM.",
};

static const struct qb_field physical_volume_fields[] = {
	QB_F(qb_physical_volume, path, "path", STR, .flags = QB_FIELD_REQUIRED,
	     .doc = "Its device."),
	QB_F(qb_physical_volume, taken_bytes, "taken_bytes", U64,
	     .doc = "How much of the device LVM takes."),
	QB_F(qb_physical_volume, unread, "unread", BOOL,
	     .doc = "It has no description of the group that LVM could read."),
};

static const struct qb_type physical_volume_type = {
	.name = "physical-volume",
	.size = sizeof(struct qb_physical_volume),
	.fields = physical_volume_fields,
	.n_fields = QB_ARRAY_SIZE(physical_volume_fields),
	.doc = "A physical volume of LVM.",
};

static const struct qb_field volume_group_fields[] = {
	QB_F(qb_volume_group, name, "name", STR, .flags = QB_FIELD_REQUIRED, .doc = "Name."),
	QB_F(qb_volume_group, size_bytes, "size_bytes", U64, .doc = "Size."),
	QB_F(qb_volume_group, free_bytes, "free_bytes", U64, .doc = "What no volume has of it."),
	QB_F(qb_volume_group, extent_bytes, "extent_bytes", U64,
	     .doc = "Sizes of volumes are multiples of this."),
	QB_F(qb_volume_group, physical_volumes, "physical_volumes", STRS,
	     .doc = "The devices it is made of, without those that are missing."),
	QB_F(qb_volume_group, volumes, "volumes", U64, .doc = "How many logical volumes it has."),
	QB_F(qb_volume_group, missing, "missing", U64,
	     .doc = "Physical volumes that are not there."),
	QB_F(qb_volume_group, missing_uuids, "missing_uuids", STRS, .doc = "LVM's UUIDs of those."),
	QB_F(qb_volume_group, tags, "tags", STRS, .doc = "Its tags."),
	QB_F(qb_volume_group, damaged, "damaged", STRS,
	     .doc = "Logical volumes that are not whole, each with its health."),
	QB_F_LIST(qb_volume_group, tagged, "tagged", &logical_volume_type,
		  .doc = "Logical volumes that have tags."),
	QB_F_LIST(qb_volume_group, sizes, "sizes", &physical_volume_type,
		  .doc = "What LVM takes of each of its devices."),
};

const struct qb_type qb_volume_group_type = {
	.name = "volume-group",
	.size = sizeof(struct qb_volume_group),
	.fields = volume_group_fields,
	.n_fields = QB_ARRAY_SIZE(volume_group_fields),
	.doc = "A volume group of LVM.",
};
