console.log(`node ${process.version.split('.')[0]}`);
process.exit(1);
