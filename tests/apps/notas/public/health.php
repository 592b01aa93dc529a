<?php
require '/srv/db.php';

db()->query('SELECT 1');
echo 'ok';
