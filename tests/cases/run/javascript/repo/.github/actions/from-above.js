console.log('from above');
