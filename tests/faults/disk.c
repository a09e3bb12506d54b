#include "disk.h"

#include <assert.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR    512 /* the unit that a disk writes whole or not at all */
#define FILES_MAX 16

/* A write or truncation that no sync has followed. */
typedef struct change {
    struct change *next;
    sqlite3_int64 offset; /* of a truncation: the new size */
    size_t size;
    bool truncation;
    unsigned char data[];
} change_t;

/* The bytes of a file. */
typedef struct {
    unsigned char *data;
    size_t size;
    size_t capacity;
} image_t;

/* A file as the disk has it. */
typedef struct {
    char *path; /* NULL: a free place */
    image_t durable;
    change_t *changes; /* oldest first */
    change_t **changes_end;
} medium_t;

struct disk {
    sqlite3_vfs vfs; /* first: SQLite hands it back */
    sqlite3_vfs *real;
    sqlite3_io_methods methods;
    pthread_mutex_t lock;
    medium_t files[FILES_MAX];
    uint64_t operations;
    /* disk_fail */
    bool failing;
    disk_operation_t fail_operation;
    char fail_suffix[16];
    int fail_nth;
    int fail_code;
    bool fail_after;
    bool has_failed;
    /* disk_cut_power */
    uint64_t cut_at; /* 0: never */
    uint64_t seed;
    char into[256];
    bool dark;
};

/* One open file: SQLite's part, then the default VFS's. */
typedef struct {
    sqlite3_file base;
    disk_t *disk;
    medium_t *medium; /* NULL: a temporary file, or one that goes through */
    sqlite3_file *real;
} handle_t;

static void *must(void *memory)
{
    if (memory == NULL) {
        abort();
    }
    return memory;
}

/* ---- what the disk holds --------------------------------------------------------------------- */

static void drop_changes(medium_t *medium)
{
    while (medium->changes != NULL) {
        change_t *next = medium->changes->next;
        free(medium->changes);
        medium->changes = next;
    }
    medium->changes_end = &medium->changes;
}

static void medium_free(medium_t *medium)
{
    drop_changes(medium);
    free(medium->durable.data);
    free(medium->path);
    *medium = (medium_t){0};
}

static medium_t *medium_find(disk_t *self, const char *path)
{
    for (size_t i = 0; i < FILES_MAX; i++) {
        if (self->files[i].path != NULL && strcmp(self->files[i].path, path) == 0) {
            return &self->files[i];
        }
    }
    return NULL;
}

static void image_resize(image_t *image, size_t wanted)
{
    if (wanted > image->capacity) {
        image->capacity = wanted * 2;
        image->data = must(realloc(image->data, image->capacity));
    }
    if (wanted > image->size) {
        memset(image->data + image->size, 0, wanted - image->size);
    }
    image->size = wanted;
}

/* What was in the file before this disk knew it counts as durable. */
static void medium_load(medium_t *medium)
{
    FILE *file = fopen(medium->path, "rb");
    if (file == NULL) {
        return;
    }
    fseek(file, 0, SEEK_END);
    const long size = ftell(file);
    rewind(file);
    if (size > 0) {
        image_resize(&medium->durable, (size_t)size);
        if (fread(medium->durable.data, 1, (size_t)size, file) != (size_t)size) {
            abort();
        }
    }
    fclose(file);
}

static medium_t *medium_get(disk_t *self, const char *path)
{
    medium_t *medium = medium_find(self, path);
    for (size_t i = 0; i < FILES_MAX && medium == NULL; i++) {
        if (self->files[i].path == NULL) {
            medium = &self->files[i];
            medium->path = must(strdup(path));
            medium->changes_end = &medium->changes;
            medium_load(medium);
        }
    }
    return must(medium);
}

/* Bytes [from, to) of a write reach an image. */
static void apply_part(const change_t *change, size_t from, size_t to, image_t *image)
{
    const size_t offset = (size_t)change->offset;
    if (from >= to) {
        return;
    }
    if (offset + to > image->size) {
        image_resize(image, offset + to);
    }
    memcpy(image->data + offset + from, change->data + from, to - from);
}

static void apply(const change_t *change, image_t *image)
{
    if (!change->truncation) {
        apply_part(change, 0, change->size, image);
    } else if ((size_t)change->offset < image->size) {
        image->size = (size_t)change->offset;
    }
}

static void note(medium_t *medium, const void *data, size_t size, sqlite3_int64 offset,
                 bool truncation)
{
    change_t *change = must(malloc(sizeof *change + size));
    *change = (change_t){.offset = offset, .size = size, .truncation = truncation};
    if (size > 0) {
        memcpy(change->data, data, size);
    }
    *medium->changes_end = change;
    medium->changes_end = &change->next;
}

static void make_durable(medium_t *medium)
{
    for (const change_t *change = medium->changes; change != NULL; change = change->next) {
        apply(change, &medium->durable);
    }
    drop_changes(medium);
}

/* ---- the power goes -------------------------------------------------------------------------- */

static uint64_t chance(disk_t *self)
{
    /* SplitMix64: any seed gives a good sequence. */
    uint64_t z = (self->seed += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* A write of which some sectors made it. */
static void apply_torn(disk_t *self, const change_t *change, image_t *image)
{
    size_t from = 0;
    while (from < change->size) {
        size_t to = from + SECTOR - ((size_t)change->offset + from) % SECTOR;
        to = to < change->size ? to : change->size;
        if (chance(self) % 2 == 0) {
            apply_part(change, from, to, image);
        }
        from = to;
    }
}

/* What of the unsynced is there afterwards: nothing; a beginning; any of it; any of it, torn. */
static void lose(disk_t *self, const medium_t *medium, unsigned way, image_t *image)
{
    bool kept = way != 0;
    for (const change_t *change = medium->changes; change != NULL; change = change->next) {
        if (way == 1) {
            kept = kept && chance(self) % 8 != 0;
        } else if (way >= 2) {
            kept = chance(self) % 2 == 0;
        }
        if (kept) {
            apply(change, image);
        } else if (way == 3 && !change->truncation) {
            apply_torn(self, change, image);
        }
    }
}

static void write_image(const char *path, const image_t *image)
{
    FILE *file = must(fopen(path, "wb"));
    if ((image->size > 0 && fwrite(image->data, 1, image->size, file) != image->size) ||
        fclose(file) != 0) {
        abort();
    }
}

static void go_dark(disk_t *self)
{
    const unsigned way = (unsigned)(chance(self) % 4);
    self->dark = true;
    for (size_t i = 0; i < FILES_MAX; i++) {
        const medium_t *medium = &self->files[i];
        if (medium->path == NULL) {
            continue;
        }
        image_t image = {0};
        image_resize(&image, medium->durable.size);
        if (image.size > 0) {
            memcpy(image.data, medium->durable.data, image.size);
        }
        lose(self, medium, way, &image);
        char path[512];
        const char *name = strrchr(medium->path, '/');
        snprintf(path, sizeof path, "%s%s", self->into, name);
        write_image(path, &image);
        free(image.data);
    }
}

/* ---- every operation comes by here; the lock is held ----------------------------------------- */

static bool ends_in(const char *text, const char *suffix)
{
    const size_t size = strlen(text);
    const size_t end = strlen(suffix);
    return size >= end && strcmp(text + size - end, suffix) == 0;
}

static int operate(disk_t *self, const medium_t *medium, disk_operation_t operation)
{
    const int dark = operation == DISK_SYNC ? SQLITE_IOERR_FSYNC : SQLITE_IOERR_WRITE;
    self->operations++;
    if (!self->dark && self->cut_at != 0 && self->operations >= self->cut_at) {
        go_dark(self);
    }
    if (self->dark) {
        return dark;
    }
    if (self->failing && operation == self->fail_operation &&
        ends_in(medium->path, self->fail_suffix)) {
        self->fail_nth--;
        if (self->fail_nth == 0 || (self->fail_nth < 0 && self->fail_after)) {
            self->has_failed = true;
            return self->fail_code;
        }
    }
    return SQLITE_OK;
}

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((handle_t *)file)->real;
}

static int io_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int io_read(sqlite3_file *file, void *data, int size, sqlite3_int64 offset)
{
    return real_of(file)->pMethods->xRead(real_of(file), data, size, offset);
}

static int io_write(sqlite3_file *file, const void *data, int size, sqlite3_int64 offset)
{
    handle_t *handle = (handle_t *)file;
    int code = SQLITE_OK;
    if (handle->medium != NULL) {
        pthread_mutex_lock(&handle->disk->lock);
        code = operate(handle->disk, handle->medium, DISK_WRITE);
        if (code == SQLITE_OK) {
            note(handle->medium, data, (size_t)size, offset, false);
        }
        pthread_mutex_unlock(&handle->disk->lock);
    }
    return code != SQLITE_OK ? code
                             : handle->real->pMethods->xWrite(handle->real, data, size, offset);
}

static int io_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    handle_t *handle = (handle_t *)file;
    int code = SQLITE_OK;
    if (handle->medium != NULL) {
        pthread_mutex_lock(&handle->disk->lock);
        code = operate(handle->disk, handle->medium, DISK_WRITE);
        if (code == SQLITE_OK) {
            note(handle->medium, NULL, 0, size, true);
        }
        pthread_mutex_unlock(&handle->disk->lock);
    }
    return code != SQLITE_OK ? code : handle->real->pMethods->xTruncate(handle->real, size);
}

/* The real file is not synced: this disk's own account of what is durable takes its place, and
 * thousands of syncs would only cost time. */
static int io_sync(sqlite3_file *file, int flags)
{
    (void)flags;
    handle_t *handle = (handle_t *)file;
    if (handle->medium == NULL) {
        return SQLITE_OK;
    }
    pthread_mutex_lock(&handle->disk->lock);
    const int code = operate(handle->disk, handle->medium, DISK_SYNC);
    if (code == SQLITE_OK) {
        make_durable(handle->medium);
    }
    pthread_mutex_unlock(&handle->disk->lock);
    return code;
}

static int io_file_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int io_lock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int io_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int io_check_lock(sqlite3_file *file, int *result)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), result);
}

static int io_control(sqlite3_file *file, int operation, void *arg)
{
    /* A hint of the size would make the real file longer than this disk knows. */
    if (operation == SQLITE_FCNTL_SIZE_HINT || operation == SQLITE_FCNTL_CHUNK_SIZE) {
        return SQLITE_OK;
    }
    return real_of(file)->pMethods->xFileControl(real_of(file), operation, arg);
}

static int io_sector_size(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int io_characteristics(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int io_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **memory)
{
    return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, memory);
}

static int io_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
}

static void io_shm_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int io_shm_unmap(sqlite3_file *file, int remove)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), remove);
}

static int vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags,
                    int *ret_flags)
{
    disk_t *self = (disk_t *)vfs;
    handle_t *handle = (handle_t *)file;
    *handle = (handle_t){.disk = self, .real = (sqlite3_file *)(handle + 1)};
    if (path != NULL) {
        /* Before the real file is made: what is there now is what was there. */
        pthread_mutex_lock(&self->lock);
        handle->medium = medium_get(self, path);
        pthread_mutex_unlock(&self->lock);
    }
    const int code = self->real->xOpen(self->real, path, handle->real, flags, ret_flags);
    handle->base.pMethods = code == SQLITE_OK ? &self->methods : NULL;
    return code;
}

/* File names are taken to be durable at once, as a journalling file system orders them. */
static int vfs_delete(sqlite3_vfs *vfs, const char *path, int sync_folder)
{
    disk_t *self = (disk_t *)vfs;
    int code = SQLITE_OK;
    pthread_mutex_lock(&self->lock);
    medium_t *medium = medium_find(self, path);
    if (self->dark) {
        code = SQLITE_IOERR_DELETE;
    } else if (medium != NULL) {
        medium_free(medium);
    }
    pthread_mutex_unlock(&self->lock);
    return code != SQLITE_OK ? code : self->real->xDelete(self->real, path, sync_folder);
}

disk_t *disk_new(const char *name)
{
    disk_t *self = must(calloc(1, sizeof *self));
    self->real = must(sqlite3_vfs_find(NULL));
    self->vfs = *self->real;
    self->vfs.zName = name;
    self->vfs.pNext = NULL;
    self->vfs.szOsFile = (int)sizeof(handle_t) + self->real->szOsFile;
    self->vfs.xOpen = vfs_open;
    self->vfs.xDelete = vfs_delete;
    /* Version 2: no memory-mapped reads, which would go past this disk. */
    self->methods = (sqlite3_io_methods){2,
                                         io_close,
                                         io_read,
                                         io_write,
                                         io_truncate,
                                         io_sync,
                                         io_file_size,
                                         io_lock,
                                         io_unlock,
                                         io_check_lock,
                                         io_control,
                                         io_sector_size,
                                         io_characteristics,
                                         io_shm_map,
                                         io_shm_lock,
                                         io_shm_barrier,
                                         io_shm_unmap,
                                         NULL,
                                         NULL};
    pthread_mutex_init(&self->lock, NULL);
    if (sqlite3_vfs_register(&self->vfs, 0) != SQLITE_OK) {
        abort();
    }
    return self;
}

void disk_destroy(disk_t **self_p)
{
    disk_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    sqlite3_vfs_unregister(&self->vfs);
    for (size_t i = 0; i < FILES_MAX; i++) {
        if (self->files[i].path != NULL) {
            medium_free(&self->files[i]);
        }
    }
    pthread_mutex_destroy(&self->lock);
    free(self);
}

void disk_fail(disk_t *self, disk_operation_t operation, const char *suffix, int nth, int code,
               bool and_after)
{
    assert(nth > 0 && strlen(suffix) < sizeof self->fail_suffix);
    pthread_mutex_lock(&self->lock);
    self->failing = true;
    self->has_failed = false;
    self->fail_operation = operation;
    memcpy(self->fail_suffix, suffix, strlen(suffix) + 1);
    self->fail_nth = nth;
    self->fail_code = code;
    self->fail_after = and_after;
    pthread_mutex_unlock(&self->lock);
}

void disk_heal(disk_t *self)
{
    pthread_mutex_lock(&self->lock);
    self->failing = false;
    pthread_mutex_unlock(&self->lock);
}

bool disk_has_failed(disk_t *self)
{
    pthread_mutex_lock(&self->lock);
    const bool has = self->has_failed;
    pthread_mutex_unlock(&self->lock);
    return has;
}

uint64_t disk_operations(disk_t *self)
{
    pthread_mutex_lock(&self->lock);
    const uint64_t operations = self->operations;
    pthread_mutex_unlock(&self->lock);
    return operations;
}

void disk_cut_power(disk_t *self, uint64_t at, uint64_t seed, const char *into)
{
    assert(strlen(into) < sizeof self->into);
    pthread_mutex_lock(&self->lock);
    self->cut_at = at;
    self->seed = seed;
    memcpy(self->into, into, strlen(into) + 1);
    pthread_mutex_unlock(&self->lock);
}

bool disk_is_dark(disk_t *self)
{
    pthread_mutex_lock(&self->lock);
    const bool dark = self->dark;
    pthread_mutex_unlock(&self->lock);
    return dark;
}
