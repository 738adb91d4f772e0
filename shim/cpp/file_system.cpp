// The file system of roost://. Every call goes to Rust's Vfs.
//
// It derives from FileSystem and not from LocalFileSystem: a method that is not overridden here then throws instead
// of acting on the local disk.
#include "shim.hpp"

#include "duckdb/common/file_system.hpp"
#include "duckdb/common/virtual_file_system.hpp"

using namespace duckdb;
using roost::CallbackSlot;
using roost::ToText;

static constexpr const char *SCHEME = "roost://";

namespace {

class RoostFile : public FileHandle {
public:
	RoostFile(FileSystem &file_system, const string &path, FileOpenFlags flags, const roost_vfs &vfs_p, void *file_p)
	    : FileHandle(file_system, path, flags), vfs(vfs_p), file(file_p) {
	}
	~RoostFile() override {
		Close();
	}
	void Close() override {
		if (file) {
			vfs.file_drop(file);
			file = nullptr;
		}
	}
	//! Rust's file; a closed handle is an error, never a null pointer on the other side.
	void *Get() {
		if (!file) {
			throw IOException("The file \"%s\" is closed", path);
		}
		return file;
	}

	const roost_vfs &vfs;
	//! Of sequential reads and writes.
	idx_t position = 0;

private:
	void *file;
};

class RoostFileSystem : public FileSystem {
public:
	explicit RoostFileSystem(const roost_vfs &vfs_p) : vfs(vfs_p) {
	}
	~RoostFileSystem() override {
		vfs.drop(vfs.self);
	}

	using FileSystem::OpenFile;
	unique_ptr<FileHandle> OpenFile(const string &path, FileOpenFlags flags, optional_ptr<FileOpener>) override {
		CallbackSlot slot;
		void *file = nullptr;
		slot.Check(vfs.open(vfs.self, slot.Pointer(), ToText(path), flags.GetFlagsInternal(),
		                    static_cast<uint8_t>(flags.Lock()), &file));
		if (!file) {
			if (flags.ReturnNullIfNotExists() || flags.ReturnNullIfExists()) {
				return nullptr;
			}
			throw IOException("Cannot open file \"%s\": no such file", path);
		}
		return make_uniq<RoostFile>(*this, path, flags, vfs, file);
	}

	void Read(FileHandle &handle, void *buffer, int64_t size, idx_t offset) override {
		auto read = ReadAt(handle, buffer, size, offset);
		if (read != size) {
			throw IOException("Could not read enough bytes from file \"%s\": attempted to read %llu bytes from "
			                  "location %llu, but only %llu were there",
			                  handle.path, size, offset, read);
		}
	}
	int64_t Read(FileHandle &handle, void *buffer, int64_t size) override {
		auto &file = handle.Cast<RoostFile>();
		auto read = ReadAt(handle, buffer, size, file.position);
		file.position += static_cast<idx_t>(read);
		return read;
	}
	void Write(FileHandle &handle, void *buffer, int64_t size, idx_t offset) override {
		CallbackSlot slot;
		slot.Check(vfs.file_write(handle.Cast<RoostFile>().Get(), slot.Pointer(), static_cast<uint8_t *>(buffer),
		                          static_cast<uint64_t>(size), offset));
	}
	int64_t Write(FileHandle &handle, void *buffer, int64_t size) override {
		auto &file = handle.Cast<RoostFile>();
		CallbackSlot slot;
		auto data = static_cast<uint8_t *>(buffer);
		auto length = static_cast<uint64_t>(size);
		if (file.flags.OpenForAppending()) {
			slot.Check(vfs.file_append(file.Get(), slot.Pointer(), data, length));
		} else {
			slot.Check(vfs.file_write(file.Get(), slot.Pointer(), data, length, file.position));
		}
		file.position += length;
		return size;
	}
	void FileSync(FileHandle &handle) override {
		CallbackSlot slot;
		slot.Check(vfs.file_sync(handle.Cast<RoostFile>().Get(), slot.Pointer()));
	}
	void Truncate(FileHandle &handle, int64_t size) override {
		CallbackSlot slot;
		slot.Check(vfs.file_truncate(handle.Cast<RoostFile>().Get(), slot.Pointer(), static_cast<uint64_t>(size)));
	}
	bool Trim(FileHandle &handle, idx_t offset, idx_t size) override {
		CallbackSlot slot;
		bool freed = false;
		slot.Check(vfs.file_trim(handle.Cast<RoostFile>().Get(), slot.Pointer(), offset, size, &freed));
		return freed;
	}
	int64_t GetFileSize(FileHandle &handle) override {
		CallbackSlot slot;
		uint64_t size = 0;
		slot.Check(vfs.file_size(handle.Cast<RoostFile>().Get(), slot.Pointer(), &size));
		return static_cast<int64_t>(size);
	}

	bool FileExists(const string &path, optional_ptr<FileOpener>) override {
		CallbackSlot slot;
		bool exists = false;
		slot.Check(vfs.exists(vfs.self, slot.Pointer(), ToText(path), &exists));
		return exists;
	}
	void MoveFile(const string &from, const string &to, optional_ptr<FileOpener>) override {
		CallbackSlot slot;
		slot.Check(vfs.rename(vfs.self, slot.Pointer(), ToText(from), ToText(to)));
	}
	void RemoveFile(const string &path, optional_ptr<FileOpener> opener) override {
		if (!TryRemoveFile(path, opener)) {
			throw IOException("Could not remove file \"%s\": no such file", path);
		}
	}
	bool TryRemoveFile(const string &path, optional_ptr<FileOpener>) override {
		CallbackSlot slot;
		bool removed = false;
		slot.Check(vfs.remove(vfs.self, slot.Pointer(), ToText(path), &removed));
		return removed;
	}

	void Seek(FileHandle &handle, idx_t location) override {
		handle.Cast<RoostFile>().position = location;
	}
	void Reset(FileHandle &handle) override {
		Seek(handle, 0);
	}
	idx_t SeekPosition(FileHandle &handle) override {
		return handle.Cast<RoostFile>().position;
	}
	bool CanSeek() override {
		return true;
	}
	bool OnDiskFile(FileHandle &) override {
		return true;
	}
	FileType GetFileType(FileHandle &) override {
		return FileType::FILE_TYPE_REGULAR;
	}
	bool IsPipe(const string &, optional_ptr<FileOpener>) override {
		return false;
	}

	// There are no folders, and nothing to list.
	bool DirectoryExists(const string &, optional_ptr<FileOpener>) override {
		return false;
	}
	void CreateDirectory(const string &path, optional_ptr<FileOpener>) override {
		Refuse("folders", path);
	}
	void RemoveDirectory(const string &path, optional_ptr<FileOpener>) override {
		Refuse("folders", path);
	}
	vector<OpenFileInfo> Glob(const string &path, FileOpener *) override {
		Refuse("readers and patterns", path);
	}

	// A roost path stays as it is: the inherited ways would turn it into a local one.
	string CanonicalizePath(const string &path, optional_ptr<FileOpener>) override {
		return path;
	}
	string ExpandPath(const string &path) override {
		return path;
	}
	bool IsPathAbsolute(const string &) override {
		return true;
	}
	string PathSeparator(const string &) override {
		return "/";
	}
	bool CanHandleFile(const string &path) override {
		return StringUtil::StartsWith(path, SCHEME);
	}
	bool IsManuallySet() override {
		return true;
	}
	string GetName() const override {
		return "RoostFileSystem";
	}

protected:
	bool ListFilesExtended(const string &path, const std::function<void(OpenFileInfo &info)> &,
	                       optional_ptr<FileOpener>) override {
		Refuse("listings", path);
	}
	bool SupportsListFilesExtended() const override {
		return true;
	}
	unique_ptr<MultiFileList> GlobFilesExtended(const string &path, const FileGlobInput &,
	                                            optional_ptr<FileOpener>) override {
		Refuse("readers and patterns", path);
	}
	bool SupportsGlobExtended() const override {
		return true;
	}

private:
	int64_t ReadAt(FileHandle &handle, void *buffer, int64_t size, idx_t offset) {
		CallbackSlot slot;
		uint64_t read = 0;
		slot.Check(vfs.file_read(handle.Cast<RoostFile>().Get(), slot.Pointer(), static_cast<uint8_t *>(buffer),
		                         static_cast<uint64_t>(size), offset, &read));
		return static_cast<int64_t>(read);
	}
	[[noreturn]] static void Refuse(const char *what, const string &path) {
		throw PermissionException("%s holds the database itself and takes no part in %s (\"%s\")", SCHEME, what, path);
	}

	const roost_vfs vfs;
};

} // namespace

namespace roost {

unique_ptr<FileSystem> MakeFileSystem(const roost_vfs &vfs) {
	return make_uniq<RoostFileSystem>(vfs);
}

} // namespace roost
