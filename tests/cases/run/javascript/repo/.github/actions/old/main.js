console.log(`node ${process.version.split(".")[0]}`);
